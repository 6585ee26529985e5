"""Letters of relations, and functions of the target: each is what its expression says, and each inverse gives back."""

import numpy as np
import pytest
import sympy

from kan2.laws.algebra.letters import ANY, STEEPEST, TURNS, alphabets, plain
from kan2.laws.algebra.outer import outer_functions, square_roots
from kan2.laws.algebra.outer_scales import FAMILIES as OUTER_FAMILIES
from kan2.laws.algebra.scales import FAMILIES
from kan2.laws.column import Column
from tests.laws import is_close, values_of

t, e = sympy.symbols("t e")
COLUMNS = {
    "small": np.linspace(-0.9, 0.95, 50),
    "unit": np.linspace(0, 1, 50),
    "up to pi": np.linspace(0.1, np.pi, 50),
    "positive": np.linspace(0.01, 7, 50),
    "signed": np.linspace(-40, 55, 50),
    "negative": np.linspace(-9, -2, 50),
    "steep": np.linspace(-5, 500, 50),
    "huge": np.linspace(1e3, 1e200, 50),
    "tiny": np.linspace(-1e-200, 1e-200, 50),
    "wide": np.logspace(-100, 100, 50),
    "zeros": np.zeros(50),
    "minus zeros": -np.zeros(50),
    "constant": np.full(50, -3.0),
    "one row": np.array([2.0]),
}
USUAL = [name for name in COLUMNS if name != "huge"]


@pytest.mark.parametrize("name", COLUMNS)
def test_letters_are_what_their_expressions_say(name):
    column = Column(COLUMNS[name], t)
    with np.errstate(over="ignore"):  # magnitudes beyond 1e154 have no squares
        found = list(alphabets(column))
    assert len({alphabet.name for alphabet in found}) == len(found)
    assert found[0].letters[0].expression == t
    for alphabet in found:
        for letter in alphabet.letters:
            wanted = values_of(letter.expression, {"t": column.values})
            same = np.array_equal(letter.values, wanted) or is_close(letter.values, wanted, 1e-12)
            assert same, (alphabet.name, letter.expression)


@pytest.mark.parametrize("name", USUAL)
def test_letters_of_usual_columns_are_finite_and_real(name):
    for alphabet in alphabets(Column(COLUMNS[name], t)):
        for letter in alphabet.letters:
            assert np.isfinite(letter.values).all(), (alphabet.name, letter.expression)
            assert letter.values.dtype == float


def test_no_functions_are_taken_of_arguments_beyond_rounding():
    names = {alphabet.name for alphabet in alphabets(Column(np.linspace(-2, TURNS + 1, 9), t))}
    assert not any("cos" in name or "sin" in name for name in names)
    assert "exp" in names
    names = {alphabet.name for alphabet in alphabets(Column(np.linspace(0, STEEPEST + 1, 9), t))}
    assert not any("exp" in name for name in names)


def test_pairs_that_have_a_relation_of_their_own_cannot_show_it():
    # cos^2 + sin^2 = 1 would be found in place of the law.
    for name in USUAL:
        for alphabet in alphabets(Column(COLUMNS[name], t)):
            texts = {str(letter.expression): letter.highest for letter in alphabet.letters}
            if "cos(t)" in texts and "sin(t)" in texts:
                assert texts["sin(t)"] == 1
            roots = [highest for text, highest in texts.items() if text.startswith("sqrt(") and "t" in texts]
            assert all(highest == 1 for highest in roots)
    assert plain(Column(COLUMNS["unit"], t)).highest == ANY


@pytest.mark.parametrize("name", [name for name in USUAL if name not in ("wide", "tiny")])
def test_every_function_of_the_target_has_its_inverse(name):
    y = COLUMNS[name]
    found = list(outer_functions(y))
    assert found[0].name == "y"
    for outer in found:
        assert np.isfinite(outer.values).all(), outer.name
        back = [values_of(inverse, {"e": outer.values}) for inverse in outer.inverses(e)]
        off = np.min([np.abs(b - y) for b in back], 0)  # of two roots, row by row
        assert (off <= 1e-7 * np.maximum(np.abs(y), 1e-3 * np.abs(y).max())).all(), outer.name


def test_sizes_of_functions_of_the_target_are_powers_of_two():
    for name in USUAL:
        for outer in outer_functions(COLUMNS[name]):
            assert np.frexp(outer.size)[0] == 0.5, (name, outer.name)


x, z = sympy.symbols("x z")


@pytest.mark.parametrize(
    "argument",
    [
        x,
        4 * x**2,
        (x - z) ** 2 / (1 + z),
        (x**2 + 2 * x * z + z**2) * (x - 3) / 7,
        x / z,
        -x,
        sympy.Integer(2),
        sympy.Rational(9, 4) * z,
        sympy.Float(0.3) * x**2 + z,
        sympy.exp(x) ** 2,
        sympy.cos(x) ** 2 / 9,
        x**3 / z**4,
    ],
    ids=str,
)
def test_both_roots_squared_are_their_argument(argument):
    columns = {"x": np.linspace(-2.1, 3, 30), "z": np.linspace(1, 2, 30)}
    wanted = values_of(argument, columns)
    first, second = square_roots(argument)
    assert first + second == 0
    for root in (first, second):
        found = values_of(root**2, columns)
        assert is_close(found.real, wanted)


def test_a_complete_square_may_change_its_sign():
    first, _ = square_roots((x - z) ** 2)
    assert sympy.expand(first - (x - z)) == 0 or sympy.expand(first + (x - z)) == 0


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_letters_with_a_scale_are_what_their_expressions_say(family):
    u = np.linspace(0.01, 0.99, 40)
    for letter in family.letters(u, e):
        assert is_close(letter.values, values_of(letter.expression, {"e": u}), 1e-14)


@pytest.mark.parametrize("family", OUTER_FAMILIES, ids=lambda family: family.name)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_targets_with_a_scale_have_their_inverse(family, scale):
    y = scale * np.linspace(0.5, 2, 40)
    for log_b in family.grid(y)[::20]:
        b = float(np.exp(log_b))
        back = values_of(family.inverse(e, sympy.Float(b, 17)), {"e": family.values(y, b)})
        assert is_close(back, y, 1e-7)
