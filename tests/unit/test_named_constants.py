"""Constants with a name: numbers that print as symbols, and numbers of formulas that are recognised as such."""

import pickle

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import constants as codata

import kan2
from kan2.errors import DataError, OptionError, UnknownNameError
from kan2.expressions.named import USUAL, NamedConstant, named_constants
from kan2.expressions.parse import parse_expression
from kan2.laws.front.front import row_of, settled
from kan2.laws.front.naming import _names
from kan2.laws.samples import samples_of
from kan2.laws.search import same_random_state

rng = np.random.default_rng(1)
X, Y = sympy.symbols("x y")
ROWS = rng.uniform(1, 10, (300, 2))


def named(expression, values, constants, noise=0.0):
    """Returns the formula that a table of values and constants settles on, and its evidence."""
    values = values * (1 + noise * np.random.default_rng(0).standard_normal(len(values)))
    samples = samples_of(ROWS, values, (X, Y))
    with same_random_state():
        row = row_of(expression, (), samples)
        assert row is not None
        row = settled(row, samples, named_constants(constants))
    return row.formulas[0], row.evidence


def test_usual_symbols_have_the_values_of_codata():
    found = {one.name: one.value for one in named_constants(list(USUAL))}
    own = {"c": codata.c, "h": codata.h, "hbar": codata.hbar, "G": codata.G, "g": codata.g, "e": codata.e,
           "k_B": codata.k, "N_A": codata.N_A, "R": codata.R, "epsilon_0": codata.epsilon_0, "mu_0": codata.mu_0,
           "m_e": codata.m_e, "m_p": codata.m_p, "sigma": codata.sigma, "alpha": codata.alpha,
           "R_inf": codata.Rydberg}  # fmt: skip
    assert {name: found[name] for name in own} == own
    assert named_constants(["proton mass"])[0].value == codata.m_p


@given(value=st.floats(-1e30, 1e30).filter(bool), power=st.sampled_from([1, 2, -1]))
@settings(max_examples=30)
def test_a_named_constant_is_a_number(value, power):
    one = NamedConstant("G", value)
    expression = 2 * one**power * X
    assert float(expression.subs(X, 3)) == pytest.approx(6 * value**power, rel=1e-14)
    assert sympy.lambdify([X], expression, "numpy")(3.0) == pytest.approx(6 * value**power, rel=1e-14)
    assert expression.free_symbols == {X}
    assert pickle.loads(pickle.dumps(expression)) == expression
    assert one != sympy.Symbol("G")
    assert (one.is_positive, one.is_negative) == (value > 0, value < 0)


def test_names_print_as_symbols_do():
    assert str(NamedConstant("proton mass", 1.0) * X) == "`proton mass`*x"
    assert sympy.latex(NamedConstant("mu_0", 1.0)) == r"\mu_{0}"


@pytest.mark.parametrize(
    ("number", "constants", "text"),
    [
        (codata.G, ["G"], "G*x"),
        (-codata.G, ["G", "c"], "-G*x"),
        (2 * np.pi * codata.k, ["k_B", "c"], "2*pi*k_B*x"),
        (codata.h / (2 * np.pi), ["h"], "h*x/(2*pi)"),
        (codata.h * codata.c / codata.k, ["h", "c", "k_B"], "c*h*x/k_B"),
        (0.5 * 9.81, {"g": 9.81}, "g*x/2"),
        (codata.c**2, ["c"], "c**2*x"),
    ],
)
@pytest.mark.parametrize("noise", [0.0, 1e-4])
def test_products_of_constants_are_recognised(number, constants, text, noise):
    formula, evidence = named(1.1 * number * X, number * ROWS[:, 0], constants, noise)
    symbols = {name: sympy.Symbol(name) for name in [*constants]}
    wanted = parse_expression(text)
    assert formula.replace(lambda e: isinstance(e, NamedConstant), lambda e: symbols[e.name]) == wanted
    assert " is " in evidence[-1]
    assert "standard errors" in evidence[-1]


@pytest.mark.parametrize(
    ("number", "constants", "noise"),
    [
        (3.3, {"g": 9.81}, 0.0),
        (3.3, {"g": 9.81}, 1e-3),
        (1.5, {"g": 9.81}, 0.0),
        (1.001 * codata.G, ["G"], 1e-4),
        (1.001 * codata.G, ["G"], 0.0),
    ],
)
def test_other_numbers_stay(number, constants, noise):
    formula, evidence = named(1.1 * number * X, number * ROWS[:, 0], constants, noise)
    assert not formula.atoms(NamedConstant)
    assert evidence == ()


@given(size=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_chance_names_few_numbers(size):
    # Each of these numbers is known to 1e-3; about one of twenty may be named wrongly.
    numbers = 10 ** (size + np.arange(40) / 40)
    found = 0
    for number in numbers:
        found += bool(_names(float(number), 3e-4 * number, named_constants(["c", "h", "k_B", "m_e"])))
    assert found <= 6


def test_the_law_prints_the_name_and_predicts_by_its_value():
    table = {"m1": ROWS[:, 0], "m2": ROWS[::-1, 0], "r": ROWS[:, 1]}
    table["F"] = codata.G * table["m1"] * table["m2"] / table["r"] ** 2
    law = kan2.discover(table, target="F", constants=["G"], networks=False, work=0)
    assert str(law.formula) == "G*m1*m2/r**2"
    assert law.found
    assert law.evidence[-1].startswith("6.6743e-11 is G within 0.")
    assert law.predict(table)[:, 0] == pytest.approx(table["F"])
    model = np.asarray(law.model.predict(np.column_stack([table[name] for name in ("m1", "m2", "r")])))
    assert model[:, 0] == pytest.approx(table["F"])
    assert law.latex() == r"\frac{G m_{1} m_{2}}{r^{2}}"


@pytest.mark.parametrize(
    ("constants", "kind", "part"),
    [
        (["boltzman"], UnknownNameError, "Boltzmann constant"),
        (["electron mas"], UnknownNameError, "Did you mean 'electron mass'"),
        (["k_b"], UnknownNameError, "'k_B'"),
        (3, OptionError, "constants="),
        ({"g": "9.81"}, OptionError, "finite"),
        ({"g": float("nan")}, OptionError, "finite"),
        ({"g": 0}, OptionError, "not 0"),
        ([1], DataError, "names"),
        ({"x": 2.0}, OptionError, "no column"),
        ({"y": 2.0}, OptionError, "Rename the column"),
    ],
)
def test_wrong_names_are_refused(constants, kind, part):
    with pytest.raises(kind, match=part):
        kan2.discover({"x": ROWS[:, 0], "y": ROWS[:, 1]}, target="y", constants=constants)
