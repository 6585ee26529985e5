"""Columns that know their expression: powers, products, signs, and usual sizes."""

import numpy as np
import pytest
import sympy

from kan2.laws.column import Column, Table, product
from kan2.laws.found import Found
from kan2.laws.recursion import in_usual_sizes
from kan2.laws.reductions.reduction import Reduction, divided
from tests.laws import is_close, values_of

x, z = sympy.symbols("x z")
rng = np.random.default_rng(0)
POSITIVE = rng.uniform(0.5, 3, 40)
MIXED = rng.uniform(-3, 3, 40)
RANGES = {"positive": POSITIVE, "negative": -POSITIVE, "mixed": MIXED}
POWERS = [sympy.Rational(p, q) for p in (-3, -2, -1, 0, 1, 2, 5) for q in (1, 2, 3)]


@pytest.mark.parametrize("power", POWERS, ids=str)
@pytest.mark.parametrize("kind", RANGES)
def test_a_power_has_the_values_of_its_expression(kind, power):
    raised = Column(RANGES[kind], x).raised(power)
    assert is_close(raised.values, values_of(raised.expression, {"x": RANGES[kind]}))
    assert np.isfinite(raised.values).all()


@pytest.mark.parametrize("kind", RANGES)
def test_a_root_of_negative_numbers_takes_their_magnitude(kind):
    raised = Column(RANGES[kind], x).raised(sympy.Rational(1, 2))
    assert raised.expression == (sympy.sqrt(x) if kind == "positive" else sympy.sqrt(sympy.Abs(x)))


def test_signs_are_those_of_all_rows():
    assert Column(POSITIVE, x).sign == 1
    assert Column(-POSITIVE, x).sign == -1
    assert Column(MIXED, x).sign == 0
    assert Column(np.array([1.0, 0.0]), x).sign == 0
    assert Column(np.array([-0.0]), x).sign == 0


def test_a_product_has_the_values_of_its_expression():
    columns = (Column(POSITIVE, x), Column(MIXED, z))
    for p in POWERS:
        for q in (sympy.Integer(0), sympy.Integer(-2), sympy.Rational(3, 2)):
            made = product(columns, [p, q])
            assert is_close(made.values, values_of(made.expression, {"x": POSITIVE, "z": MIXED}))
    assert product(columns, [sympy.Integer(0)] * 2).expression == 1


def test_parts_of_a_table_keep_rows_together():
    table = Table((Column(POSITIVE, x), Column(MIXED, z)), POSITIVE * MIXED)
    rows = np.array([3, 1, 30])
    assert (table.at(rows).y == table.at(rows).X.prod(1)).all()
    assert table.of([1]).columns[0].expression == z
    assert (len(table), table.n_columns) == (40, 2)


@pytest.mark.parametrize("kx", [-300, -150, -50, -30, 0, 9, 50, 150, 300])
@pytest.mark.parametrize("ky", [-300, 0, 300])
def test_usual_sizes_keep_every_bit(kx, ky):
    table = Table((Column(POSITIVE * 10.0**kx, x), Column(MIXED, z)), MIXED * 10.0**ky)
    usual = in_usual_sizes(table)
    assert np.isfinite(usual.table.X).all()
    assert 1e-41 < np.median(np.abs(usual.table.y)) < 1e41
    assert 1e-41 < np.median(np.abs(usual.table.X[:, 0])) < 1e41
    factor = usual.table.columns[0].expression / x
    assert sympy.Rational(factor).is_Rational
    for p in (factor, usual.factor):
        assert max(sympy.fraction(p)) & (max(sympy.fraction(p)) - 1) == 0  # a power of 2
    with np.errstate(all="ignore"):
        assert (np.ldexp(usual.table.y, int(np.log2(float(usual.factor)))) == table.y).all()


@pytest.mark.parametrize("values", [np.zeros(40), -np.zeros(40), np.full(40, 5e-324), np.full(40, 1e307)])
def test_odd_columns_are_left_finite(values):
    usual = in_usual_sizes(Table((Column(values, x),), values)).table
    assert np.isfinite(usual.X).all()
    assert np.isfinite(usual.y).all()


def test_a_law_of_a_smaller_table_is_that_of_the_larger_one():
    columns = {"x": POSITIVE, "z": MIXED}
    table = Table(tuple(Column(v, sympy.Symbol(n)) for n, v in columns.items()), POSITIVE**2 * np.sin(MIXED))
    smaller = divided(table, [table.columns[1]], table.columns[0].raised(sympy.Integer(2)), 0.1, "told")
    law = smaller.law(Found(sympy.sin(z), ("later",)))
    assert is_close(values_of(law.expression, columns), table.y)
    assert law.evidence == ("told", "later")
    with_offset = Reduction(0.0, table, x, "", offset=z)
    assert with_offset.law(Found(z, ())).expression == z + x * z
    assert with_offset.key != smaller.key
