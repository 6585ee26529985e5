"""Units in `discover`: how they are read, which formulas they leave, what is refused, and all the doors."""

import json
import sys
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import sympy
from typer.testing import CliRunner

import kan2
from kan2.cli import app
from kan2.errors import TrainingError, UnitError, UnknownNameError
from kan2.estimators import KANFormulaRegressor
from kan2.laws import formulas
from kan2.laws.column import Column, Table
from kan2.laws.front.approximations import Approximation
from kan2.laws.reductions.groups import group_reductions
from kan2.laws.search import find_law
from kan2.units import reading
from kan2.units.dimensions import Dimensions
from kan2.units.reading import unit_of, units_of

rng = np.random.default_rng(0)
T, M = rng.uniform(0.5, 2, (2, 60))
FALL = {"t": T, "m": M, "h": 4.905 * T**2}
UNITS = {"t": "s", "m": "kg", "h": "m"}
SHORT = {"networks": False, "work": 1}


def dimensions_of(units: dict[str, str]) -> Dimensions:
    *names, target = units
    return units_of(units, names, target, {}).dimensions


MOTION = dimensions_of({"x": "m", "t": "s", "a": "rad", "v": "m/s", "L": "m", "y": "m"})


# -- reading -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "powers", "size"),
    [
        ("m/s^2", {"m": 1, "s": -2}, 1),
        ("m s-2", {"m": 1, "s": -2}, 1),
        ("m·s⁻²", {"m": 1, "s": -2}, 1),
        ("cm-1", {"m": -1}, 100),
        ("J/(mol K)", {"m": 2, "kg": 1, "s": -2, "mol": -1, "K": -1}, 1),
        ("L", {"m": 3}, Fraction(1, 1000)),
        ("AU", {"m": 1}, 149597870700),
        ("10^3 m", {"m": 1}, 1000),
        ("%", {}, Fraction(1, 100)),
        ("ppb", {}, Fraction(1, 10**9)),
        ("delta_degC", {"K": 1}, 1),
        ("", {}, 1),
        ("1", {}, 1),
        ("dimensionless", {}, 1),
        ("sr", {}, 1),
    ],
)
def test_units_are_read(text, powers, size):
    unit = unit_of(text, "a")
    assert dict(unit.powers) == powers
    assert unit.size == size


@pytest.mark.parametrize("text", ["sek", "m/", "m+s", "(m", "m**x", "x" * 100, "0 m", "-1 m", "sin(m)", 3, None])
def test_what_is_no_unit_is_told_with_its_column(text):
    with pytest.raises(UnitError, match=r"the unit of column 'depth' as text that pint reads, got .* Write it as "):
        unit_of(text, "depth")


@pytest.mark.parametrize("text", ["degC", "°C", "degF", "dB"])
def test_units_with_another_zero_are_refused(text):
    with pytest.raises(UnitError, match=r"column 'T' as a multiple of base units, got '.*Use kelvin"):
        unit_of(text, "T")


def test_without_pint_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pint", None)
    reading._registry.cache_clear()
    try:
        with pytest.raises(UnitError, match=r'pip install "kan2\[units\]"'):
            kan2.discover(FALL, target="h", units=UNITS)
    finally:
        reading._registry.cache_clear()


def test_numbers_stay_in_the_units_of_a_table_that_go_together():
    units = units_of({"x": "mm", "t": "ms", "v": "mm/ms", "y": "mm"}, ["x", "t", "v"], "y", {})
    assert units.is_coherent
    assert units.dimensions.sizes == pytest.approx((1e-3, 1e-3))
    (constant,) = units.dimensions.constants(2.5 * sympy.Symbol("t") ** 2)
    assert str(constant) == "2.5 is a constant of m/s^2: 2500 in SI units"


def test_others_are_multiplied_by_exact_numbers():
    units = units_of({"x": "km", "a": "deg", "p": "%", "w": "rpm", "y": "m"}, ["x", "a", "p", "w"], "y", {})
    assert units.ratios == (1000, sympy.pi / 180, sympy.Rational(1, 100), 1)
    x, a = sympy.symbols("x a")
    assert units.outside(x * sympy.sin(a)) == 1000 * x * sympy.sin(sympy.pi * a / 180)
    assert units.inside(units.outside(x * sympy.sin(a))) == x * sympy.sin(a)
    assert np.allclose(units.columns_outside(units.columns_inside(np.ones((2, 4)))), 1)


# -- dimensions of expressions -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "constants"),
    [
        ("x", []),
        ("x + v*t", []),
        ("sqrt(x**2 + L**2)", []),
        ("x*exp(-v*t/L)*cos(a)", []),
        ("pi*x/3 + 2*L", []),
        ("x*log(x/L)", []),
        ("L*(log(x) - log(L))", []),
        ("x**(a)*L**(1 - a)", None),
        ("Abs(x) + Max(x, L)", []),
        ("L*atan2(x, v*t)", []),
        ("x*sign(v)", []),
        ("0", []),
        ("4.9*t**2", ["m/s^2"]),
        ("1.5*x", []),
        ("7.3", ["m"]),
        ("1.5*x + 2.5", ["m"]),
        ("3.7*x/(2.2 + x)", ["m", "m"]),
        ("x*exp(-t/1.7)", ["1/s"]),
        ("x*sin(2.1*t + 0.3)", ["1/s"]),
        ("2.5*x**0.5", ["m^(1/2)"]),
        ("L*(log(x) + 0.7)", ["1/m"]),
        ("x + t", None),
        ("x + 1", None),
        ("sin(x)", None),
        ("L*sin(x)", None),
        ("x*exp(t)", None),
        ("t", None),
        ("x**2", None),
        ("x**t", None),
        ("L*log(x)", None),
        ("x**sqrt(2)", None),
        ("Max(x, t)", None),
    ],
)
def test_formulas_are_right_or_wrong(text, constants):
    expression = sympy.sympify(text, {name: sympy.Symbol(name) for name in MOTION.names})
    assert MOTION.is_right(expression) == (constants is not None)
    assert sorted(constant.unit for constant in MOTION.constants(expression)) == sorted(constants or [])


def test_floats_that_may_be_numbers_are():
    x, L = sympy.symbols("x L")
    assert MOTION.constants(1.5 * x + 2.5 * L) == ()
    assert MOTION.n_unneeded(1.5 * x + 2.5) == 1
    assert MOTION.price(1.5 * x + 2.5) > MOTION.price(1.5 * x) == 0
    # A kilogram is nothing that columns have.
    weight = dimensions_of({"x": "m", "F": "N"})
    assert [c.unit for c in weight.constants(2.5 * x)] == ["kg/s^2"]
    assert weight.n_unneeded(2.5 * x) == 0


@pytest.mark.parametrize(
    ("text", "right"),
    [("5*t**2", "5.0*t**2"), ("x*exp(-t/4)", "x*exp(-0.25*t)"), ("x + 1", "x + 1.0"), ("t", "1.0*t"),
     ("t**2/2", "0.5*t**2"), ("2*x/(3 + x)", "2.0*x/(x + 3.0)"), ("2*x", "2*x"), ("x + t", None), ("sin(x)", None)],
)  # fmt: skip
def test_exact_numbers_that_need_a_unit_become_constants(text, right):
    found = MOTION.repaired(sympy.sympify(text))
    assert (None if found is None else str(found.evalf(4, chop=False) if found.has(sympy.Float) else found)) == (
        None if right is None else str(sympy.sympify(right).evalf(4) if "." in right else sympy.sympify(right))
    )
    assert found is None or MOTION.is_right(found)


def test_other_symbols_are_a_mistake():
    for check in (MOTION.of, MOTION.is_right):
        with pytest.raises(ValueError, match="expected the symbols x, t, a, v, L"):
            check(sympy.Symbol("q") + sympy.Symbol("x"))


def test_groups_and_prefactors():
    drag = dimensions_of({"rho": "kg/m^3", "v": "m/s", "d": "m", "mu": "Pa s", "F": "N"})
    assert set(drag.prefactors()) >= {(1, 2, 2, 0), (0, 1, 1, 1), (-1, 0, 0, 2)}
    (group,) = drag.groups()
    assert group in {(1, 1, 1, -1), (-1, -1, -1, 1)}
    assert dimensions_of({"v": "m/s", "F": "N"}).prefactors() == ()


def test_a_table_is_reduced_to_groups():
    columns = {"x": rng.uniform(1, 2, 40), "t": rng.uniform(1, 2, 40), "v": rng.uniform(1, 2, 40)}
    table = Table(tuple(Column(v, sympy.Symbol(n)) for n, v in columns.items()), columns["x"] + columns["v"])
    dimensions = dimensions_of({"x": "m", "t": "s", "v": "m/s", "y": "m"})
    for reduction in group_reductions(table, dimensions):
        assert dimensions.of(reduction.factor) == dimensions.target
        (group,) = reduction.table.columns
        assert not any(dimensions.of(group.expression))
        assert np.allclose(reduction.table.y * sympy.lambdify([*columns], reduction.factor)(*columns.values()), table.y)


def test_a_law_without_a_right_form_is_none():
    x, t = rng.uniform(1, 2, (2, 100))
    dimensions = dimensions_of({"x": "m", "t": "s", "y": "m"})
    X = np.column_stack([x, t])
    assert find_law(X, x + t, ("x", "t")) is not None
    assert find_law(X, x + t, ("x", "t"), dimensions=dimensions) is None


# -- discover ----------------------------------------------------------------------------------------------------------


def test_a_constant_with_a_unit_is_named():
    law = kan2.discover(FALL, target="h", units=UNITS, **SHORT)
    assert law.found
    assert str(law.formula.evalf(6)) == "4.905*t**2"
    (constant,) = law.constants
    assert (constant.unit, constant.value) == ("m/s^2", pytest.approx(4.905))
    assert "4.905 is a constant of m/s^2" in str(law).splitlines()
    assert "4.905 is a constant of m/s^2" in law._repr_html_()
    # Neither times nor masses make a length.
    assert law.evidence[-1] == (
        "its units agree, which takes a constant with a unit: no product of the columns has that of the target; "
        "4.905 is a constant of m/s^2"
    )
    assert law.units == UNITS
    dimensions = dimensions_of(UNITS)
    assert all(dimensions.is_right(row.formula) for row in law.front)


def test_km_beside_m_come_out_with_their_factor():
    x, y = rng.uniform(1, 3, 60), rng.uniform(1000, 3000, 60)
    table = {"x": x, "y": y, "r": np.hypot(1000 * x, y)}
    law = kan2.discover(table, target="r", units={"x": "km", "y": "m", "r": "m"}, **SHORT)
    assert law.formula == sympy.sympify("sqrt(1000000*x**2 + y**2)")
    assert law.constants == ()
    assert np.allclose(law.predict(table)[:, 0], table["r"])


def test_degrees_keep_their_factor_and_constants_their_size():
    angle, mass = rng.uniform(5, 80, (2, 100))
    table = {"a": angle, "m": mass, "F": 9.81 * mass * np.sin(np.deg2rad(angle))}
    law = kan2.discover(table, target="F", units={"a": "deg", "m": "kg", "F": "N"}, **SHORT)
    a, m = sympy.symbols("a m")
    assert (law.formula / (m * sympy.sin(sympy.pi * a / 180))).evalf(8) == sympy.Float("9.81", 8)
    assert [str(constant) for constant in law.constants] == ["a constant of m/s^2: 9.81 in SI units"]
    assert law.uncertainties[0].value == pytest.approx(9.81)


def test_guesses_are_about_the_numbers_of_the_table():
    S = rng.uniform(0.1, 10, 60)
    law = kan2.discover(
        {"S": S, "v": 2 * S / (3 + S)}, target="v", guesses=["a*S/(b + S)"], units={"S": "g/l", "v": "umol/s"},
        networks=False, work=0,
    )  # fmt: skip
    assert law.front.pick.evidence[0] == "a guess: S*a/(S + b)"
    assert sorted(c.unit for c in law.constants) == ["kg/m^3", "mol/s"]


def test_wrong_approximations_are_not_on_the_front(monkeypatch):
    t = sympy.Symbol("t")
    offered = [Approximation(formula, "offered", False) for formula in (sympy.Float(7.3), 5.5 * t * sympy.sin(t))]
    monkeypatch.setattr(formulas, "approximations", lambda samples: offered)
    fronts = [kan2.discover(FALL, target="h", units=units, networks=False, work=0).front for units in (None, UNITS)]
    assert [len(front) for front in fronts] == [2, 1]
    assert not fronts[1][0].formula.free_symbols


@pytest.mark.parametrize("guess", ["t**2", "a*sin(t)", "m + a*t", "5*t"])
def test_guesses_that_are_wrong_are_refused(guess):
    with pytest.raises(UnitError, match=r"expected guesses in which units agree, got .*Write a constant at each place"):
        kan2.discover(FALL, target="h", units=UNITS, guesses=["a*t**2", guess])


def test_units_in_headers_are_taken():
    frame = pd.DataFrame({"t [s]": T, "h (m)": 4.905 * T**2})
    for given in (True, "headers"):
        law = kan2.discover(frame, target="h (m)", units=given, **SHORT)
        assert law.units == {"t [s]": "s", "h (m)": "m"}
        assert law.data.inputs == ("t [s]",)
    assert kan2.discover(frame, target="h (m)", units=False, **SHORT).units == {}


def test_headers_of_a_file_are_taken(tmp_path):
    path = tmp_path / "fall.csv"
    path.write_text("t [s],h [m]\n" + "".join(f"{t!r},{4.905 * t * t!r}\n" for t in T.tolist()))
    law = kan2.discover(path, target="h", units="headers", **SHORT)
    assert law.units == {"t": "s", "h": "m"}
    assert law.constants[0].unit == "m/s^2"


def test_without_units_nothing_changes():
    law = kan2.discover(FALL, target="h", **SHORT)
    assert law.units == {}
    assert law.constants == ()
    assert law.formula == sympy.Rational(981, 200) * sympy.Symbol("t") ** 2


def test_columns_without_a_unit_are_listed():
    with pytest.raises(UnitError, match=r"a unit in units= for every column and the target.*got none for m, h\. Pass"):
        kan2.discover(FALL, target="h", units={"t": "s"})
    with pytest.raises(UnitError, match=r"a unit in a header for every column.*got none for t, m, h\."):
        kan2.discover(FALL, target="h", units="headers")


def test_units_of_columns_that_are_not_there_are_refused():
    with pytest.raises(UnknownNameError, match=r"units: unknown column 'hight'\. Did you mean 'height'"):
        kan2.discover({"t": T, "height": T}, target="height", units={"t": "s", "hight": "m"})
    # Columns that the law is not about may have theirs.
    assert kan2.discover(FALL, target="h", names=["t"], units=UNITS, **SHORT).found


@pytest.mark.parametrize("given", [3, "SI", ["m"], ("t", "s")])
def test_units_are_a_mapping(given):
    with pytest.raises(UnitError, match=r"expected units as a mapping from columns to units, or \"headers\""):
        kan2.discover(FALL, target="h", units=given)


def test_networks_know_no_units():
    with pytest.raises(TrainingError, match=r"no width beside units, got width=\[2, 1, 1\]"):
        kan2.discover(FALL, [2, 1, 1], target="h", units=UNITS)


def test_each_of_several_targets_has_its_unit():
    twice = {**FALL, "d": 2 * FALL["h"]}
    law = kan2.discover(twice, target=["h", "d"], names=["t"], units={"t": "s", "h": "m", "d": "m"}, **SHORT)
    assert law.found
    assert [len(one.row.constants) for one in law.laws] == [1, 1]
    with pytest.raises(UnitError, match="d"):
        kan2.discover(twice, target=["h", "d"], names=["t"], units={"t": "s", "h": "m"}, **SHORT)


@pytest.mark.slow
def test_formulas_of_networks_are_held_to_units():
    x, t = rng.uniform(1, 2, (2, 40))
    law = kan2.discover(
        {"x": x, "t": t, "y": x + np.sin(3 * t)}, target="y", units={"x": "m", "t": "s", "y": "m"},
        attempts=1, steps=5, grid=3, work=1, seconds=20,
    )  # fmt: skip
    dimensions = dimensions_of({"x": "m", "t": "s", "y": "m"})
    assert all(dimensions.is_right(row.formula) for row in law.front)


# -- the other doors ---------------------------------------------------------------------------------------------------


def test_the_regressor_has_units():
    regressor = KANFormulaRegressor(units={"x1": "s", "x2": "kg", "y1": "m"}).fit(np.c_[T, M], FALL["h"])
    assert regressor.discovery_.constants[0].unit == "m/s^2"
    assert KANFormulaRegressor().units is None


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "fall.csv"
    path.write_text("t [s],h\n" + "".join(f"{t!r},{4.905 * t * t!r}\n" for t in T.tolist()))
    return str(path)


def command(*words):
    return CliRunner().invoke(app, ["discover", *words, "-t", "h", "-q"])


def test_the_command_line_has_units(table):
    result = command(table, "--units", "headers", "--unit", "h=m")
    assert result.exit_code == 0, result.output
    assert "4.905 is a constant of m/s^2" in result.output
    document = json.loads(command(table, "--unit", "h=mm", "--unit", "t = s", "--json").output)
    assert document["units"] == {"t": "s", "h": "mm"}
    (constant,) = document["constants"]
    assert constant == {"number": pytest.approx(4.905), "unit": "m/s^2", "value": pytest.approx(0.004905)}
    assert json.loads(command(table, "--json").output)["constants"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--units", "SI"], "expected --units headers, got 'SI'"),
        (["--unit", "m"], "expected a column and its unit, as --unit T=s, got 'm'"),
        (["--unit", "=m"], "expected a column and its unit, as --unit T=s, got '=m'"),
        (["--unit", "h=m"], "got none for t"),
        (["--unit", "h=m", "--unit", "T=s"], "unknown column 'T'"),
        (["--unit", "h=degC", "--unit", "t=s"], "Use kelvin"),
    ],
)
def test_the_command_line_refuses_what_is_no_unit(table, words, message):
    result = command(table, *words)
    assert result.exit_code in (1, 2)
    assert message in " ".join(result.stderr.split())
