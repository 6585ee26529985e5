"""Generated formulas compile exactly, or are refused with a typed error; none is silently wrong, none is slow."""

import time
import warnings

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import kanpiler
from kan2.expressions.reference_values import reference_values
from kanpiler.limits import time_limit

SYMBOLS = sympy.symbols("x y z")
UNARY = [
    *(sympy.sin, sympy.cos, sympy.tan, sympy.asin, sympy.acos, sympy.atan, sympy.sinh, sympy.cosh, sympy.tanh),
    *(sympy.asinh, sympy.acosh, sympy.atanh, sympy.exp, sympy.log, sympy.sqrt, sympy.Abs, sympy.sign, sympy.floor),
    *(sympy.erf, sympy.gamma, sympy.loggamma, sympy.Heaviside, sympy.sec, sympy.coth, sympy.Si, sympy.LambertW),
    lambda u: sympy.besselj(1, u),
]
JOINS = [
    *(lambda p, q: p + q, lambda p, q: p - q, lambda p, q: p * q, lambda p, q: p / q) * 2,
    *(lambda p, q: sympy.Abs(p) ** q, sympy.Max, sympy.Min, sympy.atan2, sympy.Mod),
]
numbers = st.one_of(
    st.integers(-5, 5).map(sympy.Integer),
    st.fractions(-3, 3, max_denominator=7).map(lambda q: sympy.Rational(q.numerator, q.denominator)),
    st.sampled_from([sympy.pi, sympy.E, sympy.sqrt(2), sympy.Float(0.37), sympy.Float(-2.5)]),
)
leaves = st.one_of(st.sampled_from(SYMBOLS), st.sampled_from(SYMBOLS), numbers)


def grow(children):
    """Recipes, not expressions: SymPy refuses or hangs on some combinations, which is not the compiler's fault."""
    return st.one_of(
        st.tuples(st.sampled_from(JOINS), children, children),
        st.tuples(st.just(sympy.Pow), children, numbers),
        st.tuples(st.sampled_from(UNARY), children),
        st.tuples(st.just(branch), children, children, children),
    )


def branch(yes, no, test):
    return sympy.Piecewise((yes, test > 0), (no, True))


def cook(recipe):
    return recipe[0](*map(cook, recipe[1:])) if isinstance(recipe, tuple) else recipe


def build(recipe):
    try:
        with time_limit(1):
            expression = cook(recipe)
    except Exception:  # whatever SymPy does not like
        reject()
    return expression


recipes = st.recursive(leaves, grow, max_leaves=12)


def check(expression):
    """Compiles, evaluates at points the compiler has not seen, and decompiles."""
    start = time.process_time()
    try:
        with warnings.catch_warnings():
            # What is real nowhere says so, and is compiled nevertheless.
            warnings.simplefilter("ignore", kanpiler.DomainWarning)
            net = kanpiler.compile(expression, inputs=["x", "y", "z"])
    except kanpiler.VerificationError:
        raise
    except kanpiler.CompileError:
        assert time.process_time() - start < 5
        return False
    assert time.process_time() - start < 5
    x = np.random.default_rng(7).uniform(0.25, 2.2, (40, 3))
    expected = reference_values([expression], ["x", "y", "z"], x)[:, 0]
    found = net(torch.as_tensor(x)).detach().numpy()[:, 0]
    nudged = reference_values([expression], ["x", "y", "z"], x * (1 + 1e-14))[:, 0]
    sizes = np.abs(expected[np.isfinite(expected) & (expected != 0)])
    allowed = 1e-10 * (np.abs(expected) + (np.median(sizes) if len(sizes) else 1.0)) + 1e3 * np.abs(nudged - expected)
    wrong = np.isfinite(expected) & np.isfinite(nudged) & ~(np.abs(found - expected) <= allowed)
    assert not wrong.any(), (expression, x[wrong][0], found[wrong][0], expected[wrong][0])
    return True


@settings(max_examples=120)
@given(recipes)
def test_compile_equals_lambdify_or_refuses(recipe):
    check(build(recipe))


@pytest.mark.slow
@settings(max_examples=5000)
@given(recipes)
def test_five_thousand_formulas(recipe):
    check(build(recipe))
