"""Dimensions: a formula is right where a change of the base units changes its value as it changes the target."""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from kan2.units.dimensions import Dimensions
from kan2.units.groups import choices
from kan2.units.linear import in_span, rank, solved

BASE = ("m", "kg", "s")
NAMES = ("a", "b", "c", "d")
small = st.integers(-2, 2)
vector = st.tuples(small, small, small).map(lambda v: tuple(map(Fraction, v)))
columns = st.tuples(*[vector] * len(NAMES))
NOTHING = (Fraction(0),) * len(BASE)
SYMBOLS = sympy.symbols(NAMES)


@st.composite
def right(draw, of, wanted, depth=3):
    """An expression with the wanted dimension, which is in the span of those of the columns; all numbers are exact."""
    powers = solved([[v[k] for v in of] for k in range(len(BASE))], [[v] for v in wanted])
    monomial = sympy.Mul(*(s ** sympy.Rational(p[0].numerator, p[0].denominator) for s, p in zip(SYMBOLS, powers)))
    kind = draw(st.sampled_from(["monomial", "sum", "product", "root", "function"])) if depth else "monomial"
    if kind == "sum":
        return draw(right(of, wanted, depth - 1)) + draw(st.integers(1, 3)) * draw(right(of, wanted, depth - 1))
    if kind == "product":
        part = draw(st.sampled_from(of))
        rest = tuple(w - p for w, p in zip(wanted, part))
        return draw(right(of, part, depth - 1)) * draw(right(of, rest, depth - 1))
    if kind == "root":
        square = tuple(2 * w for w in wanted)
        return sympy.sqrt(draw(right(of, square, depth - 1)))
    if kind == "function":
        function = draw(st.sampled_from([sympy.atan, sympy.tanh, sympy.sin]))
        return monomial * (2 + function(draw(right(of, NOTHING, depth - 1))))
    return draw(st.integers(1, 3)) * monomial


def value(expression, numbers):
    return complex(sympy.lambdify(SYMBOLS, expression)(*numbers))


@given(st.data(), columns, st.integers(0, len(NAMES) - 1))
def test_right_formulas_change_with_the_base_units_as_the_target(data, of, i):
    dimensions = Dimensions(NAMES, of, of[i], BASE)
    expression = data.draw(right(of, of[i]))
    assert dimensions.is_right(expression)
    assert dimensions.constants(expression) == ()
    assert dimensions.repaired(expression) == expression
    factor, unit = data.draw(st.sampled_from([0.5, 1.7])), data.draw(st.integers(0, len(BASE) - 1))
    numbers = np.array([1.1, 1.3, 0.7, 0.9])
    scaled = numbers * [factor ** float(v[unit]) for v in of]
    before, after = value(expression, numbers), value(expression, scaled)
    assert after == pytest.approx(before * factor ** float(of[i][unit]), rel=1e-9)


@given(st.data(), columns, st.integers(0, len(NAMES) - 1))
def test_broken_formulas_are_wrong(data, of, i):
    dimensions = Dimensions(NAMES, of, of[i], BASE)
    expression, odd = data.draw(right(of, of[i])), data.draw(st.sampled_from(SYMBOLS))
    other = dimensions.known[odd]
    # What is added has another dimension; what is multiplied changes it; what stands in a function must have none.
    if other != of[i]:
        assert not dimensions.is_right(expression + odd) or (expression + odd).is_Mul
    if any(other):
        assert not dimensions.is_right(expression * odd)
        assert not dimensions.is_right(expression * (1 + sympy.atan(odd)))
        assert not dimensions.is_right(expression * sympy.exp(odd))


@given(st.data(), columns, vector)
def test_one_float_makes_up_for_a_missing_factor(data, of, target):
    dimensions = Dimensions(NAMES, of, target, BASE)
    expression = data.draw(right(of, of[0]))
    found = dimensions.constants(sympy.Float(2.345) * expression)  # which SymPy multiplies with terms of a sum
    wanted = tuple(t - v for t, v in zip(target, of[0]))
    assert {constant.dimension for constant in found} == ({wanted} if any(wanted) else set())
    assert dimensions.is_right(expression) == (not any(wanted))


@given(columns, vector)
def test_groups_have_no_dimension_and_prefactors_that_of_the_target(of, target):
    found = choices(of, target)
    assert bool(found) == in_span(target, of)

    def dimension(powers):
        return tuple(sum((p * v[k] for p, v in zip(powers, of)), Fraction(0)) for k in range(len(BASE)))

    for choice in found:
        assert dimension(choice.prefactor) == target
        assert all(dimension(group) == NOTHING for group in choice.groups)
        assert len(choice.groups) == rank(choice.groups) == len(of) - rank(of)
    assert [choice.cost for choice in found] == sorted(choice.cost for choice in found)


@given(
    st.lists(st.lists(small, min_size=3, max_size=3), min_size=1, max_size=4), st.lists(small, min_size=3, max_size=3)
)
def test_linear_systems_are_solved_exactly(rows, u):
    A = [[Fraction(v) for v in row] for row in rows]
    b = [[sum((a * x for a, x in zip(row, u)), Fraction(0))] for row in A]
    found = solved(A, b)
    assert found is not None
    assert [[sum((a * x[0] for a, x in zip(row, found)), Fraction(0))] for row in A] == b
    assert rank(A) == sympy.Matrix(rows).rank()
