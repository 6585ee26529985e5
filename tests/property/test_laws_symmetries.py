"""Scaling symmetries with rational exponents are found from exact derivatives, and from trained surrogates."""

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kan2.laws.column import Table
from kan2.laws.reductions.surrogate import Coordinates, surrogate
from kan2.laws.reductions.symmetries import scaling_reductions
from tests.laws import columns_of, table_of
from tests.unit.test_laws_reductions import Exact

RANGES = {"x": (1.0, 4.0), "y": (0.5, 2.0), "z": (1.0, 3.0)}
X, Y, Z = sympy.symbols("x y z")
FUNCTIONS = ["exp(-{u})", "1/(1 + {u})", "log(1 + {u})", "cosh({u}/3) + 1", "sqrt(1 + {u}**2)"]
SMALL = st.builds(sympy.Rational, st.integers(-4, 4), st.sampled_from([1, 2]))


def is_power_of(u, v) -> bool:
    """Whether two products of powers are powers of each other, so that functions of one are functions of the other."""
    a, b = ([e.as_powers_dict().get(s, 0) for s in (X, Y, Z)] for e in (u, v))
    return sympy.Matrix([a, b]).rank() == 1


def found_one_group(table: Table, reductions, group) -> bool:
    return any(r.table.n_columns == 1 and is_power_of(r.table.columns[0].expression, group) for r in reductions)


@settings(max_examples=12)
@given(st.lists(SMALL, min_size=3, max_size=3), st.lists(st.integers(-2, 2), min_size=3, max_size=3),
       st.sampled_from(FUNCTIONS))  # fmt: skip
def test_symmetries_of_exact_derivatives_are_found(front, group, function):
    assume(sum(map(bool, group)) >= 2)
    # Otherwise the front is a power of the group times what is left of it, and there are other ways to write it.
    assume(all(abs(p) <= 2 for p in front))
    u = X ** group[0] * Y ** group[1] * Z ** group[2]
    law = str(X ** front[0] * Y ** front[1] * Z ** front[2] * sympy.sympify(function.format(u="u")).subs("u", u))
    table = table_of(law, columns_of(RANGES, 150))
    assume(np.isfinite(table.y).all() and np.ptp(table.y / np.median(table.y)) > 0.1)
    found = scaling_reductions(table, Exact(table, law))
    assert found_one_group(table, found, u), law


@pytest.mark.parametrize("law", ["exp(-x) + y*z", "x + exp(y) + log(z)", "sin(x)*cosh(y) + z"])
def test_what_has_no_symmetry_has_no_groups(law):
    table = table_of(law, columns_of(RANGES, 150))
    assert not any(r.table.n_columns < 2 for r in scaling_reductions(table, Exact(table, law)))


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e20])
def test_units_do_not_matter(scale):
    law = "x**2*y*exp(-z/x)"
    columns = {name: v * scale for name, v in columns_of(RANGES, 150).items()}
    table = table_of(law, columns)
    (first, *_) = sorted(scaling_reductions(table, Exact(table, law)), key=lambda r: r.score)
    plain = table_of(law, columns_of(RANGES, 150))
    (wanted, *_) = sorted(scaling_reductions(plain, Exact(plain, law)), key=lambda r: r.score)
    assert first.factor == wanted.factor
    assert [c.expression for c in first.table.columns] == [c.expression for c in wanted.table.columns]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("law", "group"),
    [
        ("x*y**2*exp(-z/x)", X / Z),
        ("sqrt(x*y)/(1 + x*y*z)", X * Y * Z),
        ("z**2*log(1 + x**2/y)", X**2 / Y),
        ("cosh(x/(y*z))/x", X / (Y * Z)),
        ("y/sqrt(1 + (x/z)**2)", X / Z),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 1e-25])
def test_symmetries_of_trained_surrogates_are_found(law, group, scale):
    # The units of the columns go together so that arguments of functions have none.
    columns = columns_of(RANGES, 300)
    table = table_of(law, columns)
    table = Table(table.columns, table.y * scale)
    models = [surrogate(table, Coordinates(True, "log", width), seed=0) for width in (1, 2, None)]
    model = min((model for model in models if model is not None), key=lambda model: model.error)
    assert found_one_group(table, scaling_reductions(table, model), group)


@pytest.mark.slow
@pytest.mark.parametrize("target", ["y", "log", "loglog", "asinh"])
@pytest.mark.parametrize("logarithms", [True, False])
def test_derivatives_of_surrogates_are_those_of_the_law(target, logarithms):
    law = "x**2*exp(-y)/z"
    table = table_of(law, columns_of(RANGES, 400))
    model = surrogate(table, Coordinates(logarithms, target), seed=0)
    assert model is not None
    off = model.gradient / Exact(table, law).gradient - 1
    assert np.median(np.abs(off)) < 100 * model.error + 1e-6
    assert model.error < 1e-2
