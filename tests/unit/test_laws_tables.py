"""`kan2.discover` on tables as people have them: SI units, grids, lattices, collinear columns, wrong rows."""

import numpy as np
import pandas as pd
import pytest
import sympy

import kan2
from kan2.errors import DataWarning
from tests.laws import columns_of, is_close, values_of, wider

# Networks are not what is tested here.
QUICK = {"attempts": 1, "steps": 5, "seconds": 20.0}
rng = np.random.default_rng(1)
U = rng.uniform


def law_of(columns, y, **options):
    return kan2.discover({**columns, "target": y}, target="target", **{**QUICK, **options})


def is_law(found, law, columns, close=1e-8):
    wanted = values_of(law, columns)
    return found.found and is_close(values_of(found.formula, columns), wanted, close)


SI = {
    "gravity": ("6.674e-11*m*M/r**2", {"m": (1e22, 1e24), "M": (1e29, 3e30), "r": (1e8, 1e12)}),
    "Coulomb": ("8.9875e9*q*p/r**2", {"q": (1e-9, 1e-6), "p": (-1e-6, 1e-6), "r": (1e-3, 1e-1)}),
    "photon": ("6.62607015e-34*299792458*(1/a - 1/b)", {"a": (1e-7, 3e-7), "b": (4e-7, 8e-7)}),
    "lens": ("f*d/(d - f)", {"f": (0.01, 0.05), "d": (0.1, 3.0)}),
    "gas": ("8.314462618*n*T/V", {"n": (1, 50), "T": (250, 400), "V": (1e-3, 1e-1)}),
    "drop": ("h + v*t - 4.903*t**2", {"h": (0, 100), "v": (-10, 20), "t": (0, 5)}),
    "decay": ("n*exp(-t/tau)", {"n": (1e10, 1e12), "t": (1e-6, 1e-5), "tau": (2e-6, 8e-6)}),
}


@pytest.mark.parametrize(
    "name", [name if name in ("Coulomb", "lens") else pytest.param(name, marks=pytest.mark.slow) for name in SI]
)
@pytest.mark.parametrize("n", [pytest.param(20, marks=pytest.mark.slow), 60])
def test_laws_in_si_units(name, n):
    law, ranges = SI[name]
    columns = columns_of(ranges, n)
    found = law_of(columns, values_of(law, columns))
    assert is_law(found, law, columns_of(wider(ranges, 0.3), 50, seed=1), 1e-7), found.formula


GRID = dict(zip("abd", (m.ravel() for m in np.meshgrid(*(np.linspace(1, 3, n) for n in (10, 10, 5)), indexing="ij"))))
WIDER_GRID = {name: v + 0.5 for name, v in GRID.items()}


@pytest.mark.parametrize(
    "law",
    ["a*b**2 - d", pytest.param("a*exp(-b*d)", marks=pytest.mark.slow), "(a + b)/(a*b + d)", "sqrt(a**2 + b**2 + d)"],
)
def test_rows_of_a_grid(law):
    assert is_law(law_of(GRID, values_of(law, GRID)), law, WIDER_GRID)


@pytest.mark.slow
def test_integers_of_a_lattice():
    n, m = (v.ravel() for v in np.meshgrid(np.arange(1, 11), np.arange(1, 11)))
    columns = {"n": n, "m": m}
    for law in ("1/n**2 - 1/m**2", "n*(n + 1)/2 + m", "n**2 - m**2"):
        found = law_of(columns, values_of(law, {k: v.astype(float) for k, v in columns.items()}))
        assert is_law(found, law, {"n": n + 10.0, "m": m + 3.0})


LINE = {"x": U(1, 5, 60)}
LINE["twice"] = 2 * LINE["x"]


@pytest.mark.parametrize("law", ["3*x**2", "3*x**2 + 1", "1/x"])
def test_rows_on_a_line_have_a_law_of_one_column(law):
    found = law_of(LINE, values_of(law, LINE))
    assert found.found
    assert len(found.formula.free_symbols) == 1
    assert is_law(found, law, {"x": LINE["x"] + 9, "twice": 2 * LINE["x"] + 18})


@pytest.mark.slow
def test_a_column_that_never_changes_is_left_out():
    columns = {"x": U(1, 5, 60), "c": np.full(60, 7.3)}
    for law in ("3*x**2", "x**2 + 3*x"):
        found = law_of(columns, values_of(law, columns))
        assert found.formula == sympy.sympify(law)


@pytest.mark.slow
def test_columns_twice_and_of_zeros():
    x = U(1, 5, 60)
    found = law_of({"x": x, "again": x.copy(), "nothing": 0 * x, "minus": -0.0 * x}, x**2 + 3 * x)
    assert found.found
    (symbol,) = found.formula.free_symbols
    assert sympy.expand(found.formula - symbol**2 - 3 * symbol) == 0


@pytest.mark.slow
def test_an_auxiliary_column_shortens_the_law():
    x, z = U(1, 3, (2, 80))
    found = law_of({"x": x, "z": z, "p": x * z}, x * z + z**2)
    assert found.formula == sympy.sympify("p + z**2")


@pytest.mark.parametrize("value", [0.0, -0.0, 2.5, 1e-20, -7e30])
def test_constant_targets(value):
    found = law_of({"x": U(1, 3, 30)}, np.full(30, value))
    assert found.found
    assert float(found.formula) == pytest.approx(value, rel=1e-12)


def test_targets_with_zeros_and_whole_numbers():
    x, z = np.arange(-10, 10), np.arange(20) % 7 + 1
    for target in (x * z, x * z + 0.0):
        assert law_of({"x": x, "z": z}, target).formula == sympy.sympify("x*z")


def test_a_frame_with_odd_names_and_text():
    frame = pd.DataFrame({"lambda": U(1, 3, 40), "E [J]": U(1, 3, 40), "who": ["a", "b"] * 20})
    frame["pi"] = frame["lambda"] / frame["E [J]"] + 1
    with pytest.warns(DataWarning, match="'who' \\(text\\)"):
        found = kan2.discover(frame, target="pi", **QUICK)
    assert found.found
    assert is_close(found.predict(frame)[:, 0], frame["pi"].to_numpy())


@pytest.mark.parametrize("n", [5, 8, 12])
def test_a_few_rows(n):
    columns = columns_of({"x": (1, 3), "z": (1, 3)}, n)
    assert law_of(columns, columns["x"] * columns["z"]).formula == sympy.sympify("x*z")


SOME = columns_of({"x": (1.0, 3.0), "z": (1.0, 3.0)}, 100)


@pytest.mark.slow
def test_the_name_of_a_law_is_not_given_to_an_approximation():
    y = values_of("x*z/(x + z)", SOME)
    y[7] *= 1.5
    found = law_of(SOME, y)
    assert not found.found or is_law(found, "x*z/(x + z)", columns_of({"x": (1.0, 9.0), "z": (1.0, 9.0)}))


@pytest.mark.slow
@pytest.mark.xfail(strict=True, reason="of curves that leave the same noise any one is called the law")
def test_a_hidden_column_leaves_no_other_law():
    x, z = np.random.default_rng(0).uniform(1, 3, (2, 60))
    found = law_of({"x": x}, x**2 + z)
    far = np.linspace(10, 20, 50)
    assert not found.found or is_close(values_of(found.formula, {"x": far}), far**2 + 2, 0.1)


@pytest.mark.slow
def test_a_step_is_searched_to_the_end():
    x = np.linspace(1, 3, 60)
    assert not law_of({"x": x}, np.where(x > 2.5, 0, x**2 + 1)).found


@pytest.mark.slow
def test_columns_of_single_precision():
    x = SOME["x"].astype(np.float32)
    found = law_of({"x": x}, (x**2 + 1) / (x + 2))
    assert is_law(found, "(x**2 + 1)/(x + 2)", {"x": np.linspace(3, 6, 20)}, 1e-6)


@pytest.mark.parametrize("n", [4, 5])
def test_a_handful_of_rows_does_not_warn(n):
    columns = columns_of({"x": (1, 3), "z": (1, 3)}, n)
    law_of(columns, columns["x"] * columns["z"] + 1)


@pytest.mark.slow
@pytest.mark.parametrize("n", [300, 1000])
@pytest.mark.parametrize("law", ["c3**2*c17/c40", "c3*exp(-c17)*c40", "c3*c17 + c40"])
def test_three_columns_of_twenty_matter(law, n):
    columns = columns_of({f"c{i}": (1.0, 3.0) for i in (3, 17, 40, *range(50, 67))}, n)
    found = law_of(columns, values_of(law, columns), seconds=60.0)
    away = columns_of(dict.fromkeys(columns, (1.0, 4.0)), 100, seed=1)
    assert not found.found or is_law(found, law, away)
