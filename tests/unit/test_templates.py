"""Templates: formulas with unknown functions, read, fitted as curves, and found."""

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

import kan2
from kan2.errors import Kan2Error, OptionError, UnknownNameError
from kan2.expressions.parse import parse_expression
from kan2.laws.front.front import row_of, settled
from kan2.laws.samples import Samples, samples_of
from kan2.laws.search import same_random_state
from kan2.laws.templates.curves import arguments_of, curves
from kan2.laws.templates.solve import solved
from kan2.laws.templates.template import Template, checked_templates

rng = np.random.default_rng(0)
A, B, C = rng.uniform(1, 3, (3, 300))
TABLE, NAMES = np.c_[A, B, C], ("a", "b", "c")
SYMBOLS = sympy.symbols("a b c")


def rows(y: np.ndarray) -> Samples:
    return samples_of(TABLE, y, SYMBOLS)


def read(text) -> Template:
    (template,) = checked_templates(text, NAMES, ["y"])
    return template


def law(text: str, y: np.ndarray) -> sympy.Expr:
    """Returns the best formula of the form of a template."""
    samples = rows(y)
    with same_random_state():
        found = solved(read(text), samples.rest, seed=0, work=2.0, library=None)
        fitted = [row_of(one.expression, one.evidence, samples) for one in found.solutions]
        best = min((row for row in fitted if row is not None), key=lambda row: (row.error > 1e-9, row.complexity))
        return settled(best, samples).formulas[0]


@pytest.mark.parametrize(
    ("text", "y", "formula"),
    [
        ("log(f(a, b)) + k", np.log(A * B) + 2, "log(a*b) + 2"),
        ("a*f(b, c)", A * np.hypot(B, C), "a*sqrt(b**2 + c**2)"),
        ("exp(f(a))*b", np.exp(1 / A) * B, "b*exp(1/a)"),
        ("f(a/b)*c**2", C**2 * (A / B) ** 1.5, "c**2*(a/b)**(3/2)"),
        ("a**k*f(b)", A**2.5 * np.cos(B), "a**(5/2)*cos(b)"),
        ("f(a) + f(b)", A**2.5 + B**2.5, "a**(5/2) + b**(5/2)"),
    ],
)
def test_one_function_is_found_exactly(text, y, formula):
    found = law(text, y)
    wanted = sympy.lambdify(SYMBOLS, parse_expression(formula))(A, B, C)
    assert np.allclose(sympy.lambdify(SYMBOLS, found)(A, B, C), wanted, rtol=1e-12)
    assert not found.atoms(sympy.Float) or "log" in formula


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "y", "formula"),
    [
        ("f(a) + g(b)", np.sin(A) + np.exp(B), "exp(b) + sin(a)"),
        ("f(a)*g(b)*h(c)", np.sin(A) * np.exp(B) / C, "exp(b)*sin(a)/c"),
        ("f(a, b)*exp(g(c))", np.sqrt(A**2 + B) * np.exp(-C / 2), "sqrt(a**2 + b)*exp(-c/2)"),
        ("sqrt(f(a)**2 + g(b)**2)", np.sqrt(A**2 + B**4), "sqrt(a**2 + b**4)"),
    ],
)
def test_several_functions_are_found_exactly(text, y, formula):
    assert law(text, y) == parse_expression(formula)


@given(p=st.floats(0.3, 3), q=st.floats(-2, 2), factor=st.floats(0.1, 10), scale=st.sampled_from([1e-20, 1.0, 1e20]))
@settings(max_examples=5, deadline=None)
def test_curves_are_as_good_as_the_form_allows(p, q, factor, scale):
    y = scale * factor * A**p * np.exp(q * B)
    found = curves(read("f(a)*g(b)"), rows(y).rest)
    assert found is not None
    assert found.error < 1e-6
    f, g = found.template.calls
    samples = rows(y)
    product = found.at(f, arguments_of(f, samples)) * found.at(g, arguments_of(g, samples))
    assert np.abs(product / y - 1).max() < 1e-4


def test_curves_of_the_wrong_form_leave_something():
    found = curves(read("f(a) + g(b)"), rows(A * B).rest)
    assert found is not None
    assert 0.05 < found.error < 0.5


def test_a_template_in_discover():
    noisy = A * np.exp(-2 * B) * (1 + 0.01 * np.random.default_rng(1).standard_normal(300))
    found = kan2.discover((TABLE, noisy), names=NAMES, templates="a*f(b)", work=1)
    assert found.formula.atoms(sympy.exp)
    assert found.predict(TABLE)[:, 0] == pytest.approx(A * np.exp(-2 * B), rel=0.02)
    assert found.found
    assert found.evidence[0] == "the template a*f(b)"
    assert "spreads" in found.evidence[-1]
    # Of another form are constants alone.
    assert all(row.formula.is_number or (row.formula / SYMBOLS[0]).free_symbols <= {SYMBOLS[1]} for row in found.front)


def test_a_template_without_functions_is_fitted():
    found = kan2.discover((TABLE, 3 * A**2.5), names=NAMES, templates=["k*a**p"])
    assert found.formula == parse_expression("3*a**(5/2)")
    assert found.evidence == ("the template k*a**p",)


def test_a_template_that_cannot_be_is_told():
    found = kan2.discover((TABLE, 3 * A - 9), names=NAMES, templates=["sqrt(-f(a)**2 - 1)"], networks=False)
    assert "not a number" in found.evidence[-1]
    assert found.formula == parse_expression("3*a - 9")


def test_templates_are_read():
    template = read("f(a, b)*exp(g(c)) + k*f(b, a)")
    assert template.functions == ("f", "g")
    assert [call.arguments for call in template.calls_of("f")] == [SYMBOLS[:2], SYMBOLS[1::-1]]
    assert [str(one) for one in template.constants] == ["_k"]
    f = sympy.Function("f")
    assert read(f(SYMBOLS[0]) + 1).functions == ("f",)
    assert parse_expression("2f(x, y)", functions=["f"]) == 2 * f(*sympy.symbols("x y"))


@pytest.mark.parametrize(
    ("templates", "kind", "part"),
    [
        ("f(a", Kan2Error, "expected"),
        ("f(a > 1)", Kan2Error, "condition"),
        ("f(aa)", UnknownNameError, "Did you mean 'a'"),
        ("f(y)", OptionError, "which is the target"),
        ("f(a)*y", OptionError, "which is the target"),
        ("f(a) + f(a, b)", OptionError, "as many arguments"),
        ("f(g(a))", OptionError, "unknown functions of columns"),
        ("f(2)*a", OptionError, "function of a number"),
        ("a + b", OptionError, "unknown function or constant"),
        (3, OptionError, "templates="),
        ([3], OptionError, "templates="),
    ],
)
def test_wrong_templates_are_refused(templates, kind, part):
    with pytest.raises(kind, match=part):
        kan2.discover({"a": A, "b": B, "c": C, "y": A}, target="y", templates=templates)
