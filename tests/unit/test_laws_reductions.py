"""Reductions: whatever they suggest, the smaller table and the law of the larger one belong together."""

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np
import pytest
import sympy
from numpy import ndarray

from kan2.laws.column import Column, Table
from kan2.laws.found import Found
from kan2.laws.reductions.leading import leading_reductions
from kan2.laws.reductions.neighbours import neighbour_reductions
from kan2.laws.reductions.pairs import pair_reductions
from kan2.laws.reductions.reduction import Reduction
from kan2.laws.reductions.splits import split_reductions
from kan2.laws.reductions.surrogate import Coordinates, Surrogate
from kan2.laws.reductions.symmetries import factor_reductions, scaling_reductions
from tests.laws import columns_of, is_close, table_of, values_of


class Exact(Surrogate):
    """A surrogate that makes no error, with the derivatives of the law itself, or with a little noise on them."""

    def __init__(self, table: Table, law: str, target: str = "log", noise: float = 0.0) -> None:
        self.table, self.coordinates, self.error = table, Coordinates(True, target), max(1e-6, noise)
        self.law, self.noise = sympy.sympify(law), noise

    @cached_property
    def gradient(self) -> ndarray:
        columns = {str(c.expression): c.values for c in self.table.columns}
        G = np.column_stack([values_of(self.law.diff(c.expression), columns) for c in self.table.columns])
        return G * (1 + self.noise * np.random.default_rng(0).standard_normal(G.shape))


WAYS: dict[str, Callable[[Table, Surrogate], list[Reduction]]] = {
    "factors": factor_reductions,
    "symmetries": scaling_reductions,
    "pairs": pair_reductions,
    "splits": split_reductions,
    "leading": lambda table, _: leading_reductions(table),
    "neighbours": lambda table, _: neighbour_reductions(table),
}
ONE = {"x": (1.0, 3.0), "y": (0.5, 2.0)}
THREE = {**ONE, "z": (1.0, 4.0)}
MIXED = {"x": (-2.0, 3.0), "y": (-1.0, 2.0), "z": (1.0, 4.0)}
LAWS: list[tuple[str, Mapping[str, tuple[float, float]]]] = [
    ("x*exp(-y)", ONE),
    ("sin(x*y) + 2", ONE),
    ("x**2*(1 + 0.001*y**5/x)", ONE),
    ("x**2*y/(1 + z/x)", THREE),
    ("sqrt(x)*exp(-y/z)", THREE),
    ("exp(-x)*(y + z)", THREE),
    ("z*cos(x - y)", THREE),
    ("x**3 + log(y*z)", THREE),
    ("(x**2 + y**2)**2/z", THREE),
    ("x*y*z + cos(y*z)", MIXED),
    ("z**2*(x - y)", MIXED),
    ("sin(x) + y*z", MIXED),
]


def values_in(table: Table, expression: sympy.Expr) -> ndarray:
    return values_of(expression, {str(c.expression): c.values for c in table.columns})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("law", "ranges"), LAWS, ids=[law for law, _ in LAWS])
@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_the_target_is_offset_and_factor_of_the_smaller_one(way, law, ranges, noise):
    table = table_of(law, columns_of(ranges, 200))
    with np.errstate(all="ignore"):
        found = WAYS[way](table, Exact(table, law, noise=noise))
    assert len(found) < 30
    for reduction in found:
        smaller = reduction.table
        assert len(smaller) == len(table)
        assert 0 < smaller.n_columns <= table.n_columns
        for column in smaller.columns:
            assert is_close(column.values, values_in(table, column.expression))
        back = values_in(table, reduction.offset) + values_in(table, reduction.factor) * smaller.y
        assert is_close(back, table.y), reduction.evidence
        # A column of its own stands for the law of the smaller table.
        stand_in = sympy.Symbol("smaller")
        whole = reduction.law(Found(stand_in, ()))
        columns = {str(c.expression): c.values for c in table.columns}
        assert is_close(values_of(whole.expression, {**columns, "smaller": smaller.y}), table.y)
        assert whole.evidence == (reduction.evidence,)
        assert reduction.score > -0.02
    assert [r.score for r in found] == sorted(r.score for r in found) or way in ("symmetries", "splits", "leading")


def suggested(way: str, law: str, ranges: Mapping[str, tuple[float, float]], noise: float = 0.0, **options):
    table = table_of(law, columns_of(ranges, 200))
    with np.errstate(all="ignore"):
        return WAYS[way](table, Exact(table, law, noise=noise, **options))


@pytest.mark.parametrize("noise", [0.0, 1e-4])
@pytest.mark.parametrize("powers", [(1, 2), (-1, 0.5), (3, -2), (1 / 3, 1)])
def test_factors_are_found_with_their_exponents(powers, noise):
    p, q = (sympy.nsimplify(p, rational=True).limit_denominator(6) for p in powers)
    (found,) = suggested("factors", f"x**({p})*y**({q})*exp(sin(z))", THREE, noise)
    assert found.factor == sympy.Symbol("x") ** p * sympy.Symbol("y") ** q
    assert [str(c.expression) for c in found.table.columns] == ["z"]
    assert is_close(found.table.y, np.exp(np.sin(found.table.X[:, 0])))


@pytest.mark.parametrize("law", ["x*y + z", "exp(x) + exp(y)", "sin(x*y*z)"])
def test_there_are_no_factors_where_there_are_none(law):
    assert suggested("factors", law, THREE) == []


@pytest.mark.parametrize(
    ("law", "ranges", "merged"),
    [
        ("sin(x*y) + 2", ONE, "x*y"),
        ("exp(-x/y)", ONE, "x/y"),
        ("cos(x - y)", ONE, "x - y"),
        ("log(x + 2*y)", ONE, "x + 2*y"),
        ("exp(-x**2 - y**2)", ONE, "x**2 + y**2"),
        ("z*tanh(x*y)", THREE, "x*y"),
        ("sqrt(x**2 + y**2) + z", THREE, "x**2 + y**2"),
        ("z*exp(-x - y/2)", THREE, "x + y/2"),
    ],
)
def test_pairs_that_act_as_one_are_found(law, ranges, merged):
    found = suggested("pairs", law, ranges)
    wanted = values_of(merged, columns_of(ranges, 200))

    def is_function_of(column: Column) -> bool:
        # One increases or decreases with the other at all rows.
        order = np.argsort(wanted, kind="stable")
        steps = np.diff(column.values[order])
        return bool((steps >= -1e-9).all() or (steps <= 1e-9).all())

    assert any(is_function_of(column) for r in found for column in r.table.columns if r.table.n_columns < len(ranges))


@pytest.mark.parametrize("law", ["x*exp(y) + y", "x**y", "x + x*y**2"])
def test_pairs_that_do_not_act_as_one_are_none(law):
    assert suggested("pairs", law, ONE) == []


STEADY = pytest.mark.xfail(
    strict=True, reason="a rate that never changes is measured in its own spread, which is rounding"
)
CUBES = pytest.mark.xfail(strict=True, reason="curves are named by monomials of degree 2 at most")


@pytest.mark.parametrize(
    ("law", "kind", "named"),
    [
        pytest.param("exp(-x)*(y + z)", "factor", "exp(-x)", marks=STEADY),
        pytest.param("3*x + y*z", "term", "3*x", marks=STEADY),
        ("cos(x/4)*(y + z)", "factor", None),
        ("(1 + x**2)*(y + z)", "factor", "x**2 + 1"),
        ("x**2 + y*z", "term", "x**2"),
        pytest.param("x**3 + y*z", "term", "x**3", marks=CUBES),
        ("log(x) + y*z", "term", "log(x)"),
        ("sin(x) + y*z", "term", "sin(x)"),
        ("3*exp(x) + y*z", "term", "3*exp(x)"),
    ],
)
def test_columns_of_their_own_are_found_with_their_curve(law, kind, named):
    found = suggested("splits", law, THREE)
    alone = [r for r in found if {str(c.expression) for c in r.table.columns} == {"y", "z"}]
    if named is None:
        assert all(r.factor != sympy.sympify(law) for r in alone)
        return
    wanted = values_of(named, columns_of(THREE, 200))
    got = [values_of(r.factor if kind == "factor" else r.offset, columns_of(THREE, 200)) for r in alone]
    if kind == "factor":
        assert any(np.ptp(g / wanted) < 1e-9 * np.abs(g / wanted).max() for g in got)
    else:
        assert any(np.ptp(g - wanted) < 1e-9 * np.abs(wanted).max() for g in got)


@pytest.mark.parametrize("law", ["x*y + x**2*z", "exp(-x*y) + z*x", "sin(x + y)*z + cos(x)*y"])
def test_columns_that_are_no_factors_or_terms_make_none(law):
    found = suggested("splits", law, THREE)
    assert not any({str(c.expression) for c in r.table.columns} == {"y", "z"} for r in found)


def test_a_leading_term_is_found():
    (found,) = suggested("leading", "3*x*y**2*(1 + 0.0001*x**3)", ONE)
    assert found.factor == found.offset == 3 * sympy.Symbol("x") * sympy.Symbol("y") ** 2
    assert is_close(found.table.y, 0.0001 * found.table.X[:, 0] ** 3, 1e-7)


@pytest.mark.parametrize("law", ["x*y", "x + y", "x*(1 + y)", "exp(3*x)", "x*y*(1 + 1e-9*x)"])
def test_there_is_no_leading_term_without_a_rest(law):
    assert suggested("leading", law, ONE) == []
