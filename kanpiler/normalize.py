"""The normal form: real symbols, derivatives and sums carried out, and only sums, products, powers and table functions.

What comes out contains symbols, real numbers, Add, Mul, numeric powers and functions that `kanpiler.catalog` knows.
SymPy simplifies as it rebuilds: over real symbols sqrt(x**2) becomes |x| and exp(log(x)) becomes x.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.3.
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import sympy
from sympy.matrices.expressions.matexpr import MatrixElement

from kan2.expressions.complex_parts import complex_parts, is_to_write_out, real_form
from kan2.expressions.reference_values import reference_values
from kanpiler import rewrite
from kanpiler.catalog import row_of
from kanpiler.domain import Domain, sample
from kanpiler.errors import CompileError, UnsupportedExpression
from kanpiler.limits import EVALUATION, REALISE, share_of_time, time_limit
from kanpiler.shared import parts_of, without_parts

MAX_TERMS = 1000


def carry_out(expression: sympy.Expr) -> sympy.Expr:
    """Carries out derivatives, integrals, sums and products, as far as SymPy can in about a second.

    Real and imaginary parts, conjugates and angles of complex values are written out as well, all variables being real;
    those without a closed form are left. So are elements, traces and determinants of matrices.

    Raises:
        UnsupportedExpression: something has no closed form, a symbolic or infinite range, or takes too long.

    Example:
        >>> x, k = sympy.symbols("x k")
        >>> carry_out(sympy.Sum(k * x, (k, 1, 3)))
        6*x
    """
    if not expression.has(*_CARRIED_OUT) and not is_to_write_out(expression):
        return expression

    def expand(node: Any) -> Any:
        for _, low, high in node.limits:
            if not (low.is_Integer and high.is_Integer):
                closed = node.doit()
                return closed if not closed.has(type(node)) else _refuse_range(node)
            if high - low >= MAX_TERMS:
                raise UnsupportedExpression(f"compile: {node} has more than {MAX_TERMS} terms.")
        values = [node.function]
        for variable, low, high in node.limits:
            values = [v.subs(variable, i) for v in values for i in range(int(low), int(high) + 1)]
            if len(values) > MAX_TERMS:
                raise UnsupportedExpression(f"compile: {node} has more than {MAX_TERMS} terms.")
        return (sympy.Add if isinstance(node, sympy.Sum) else sympy.Mul)(*values)

    try:
        with time_limit(share_of_time(EVALUATION)):
            # First, so that what is integrated is real; last, for what a closed form brings.
            whole = real_form(expression)
            if whole.has(*_CARRIED_OUT):
                finite: Any = whole.replace(lambda e: isinstance(e, sympy.Sum | sympy.Product), expand)
                whole = finite.replace(lambda e: isinstance(e, sympy.Integral), _integrate).doit()
                whole = real_form(_without_bounds_at_infinity(whole))
            expression = whole
    except TimeoutError as error:
        raise UnsupportedExpression(f"compile: {expression} {error}. Carry it out first.") from None
    except (CompileError, RecursionError):
        raise
    except Exception as error:  # SymPy fails in ways as many as it has integrals
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UnsupportedExpression(f"compile: SymPy cannot carry out {expression}: {said}.") from None
    left: Any = expression.atoms(*_CARRIED_OUT)
    if elements := expression.atoms(MatrixElement):
        raise UnsupportedExpression(
            f"compile: expected whole numbers as indices, got {_in_line(min(elements, key=str))}."
        )
    if left:
        raise UnsupportedExpression(f"compile: SymPy finds no closed form of {min(left, key=str)}.")
    return expression


_CARRIED_OUT = (
    *(sympy.Derivative, sympy.Integral, sympy.Sum, sympy.Product, sympy.Subs, sympy.Limit),
    *(MatrixElement, sympy.Trace, sympy.Determinant),
)


def _in_line(expression: Any) -> str:
    # A matrix is printed on several lines.
    return " ".join(str(expression).split())


def _without_bounds_at_infinity(expression: Any) -> Any:
    # Integrals of functions of real variables hold under conditions such as x > -oo.
    relations: Any = expression.atoms(sympy.Gt, sympy.Ge, sympy.Lt, sympy.Le)
    true: Any = {relation: sympy.true for relation in relations if sympy.oo in (relation.gts, -relation.lts)}
    return expression.xreplace(true)


def _integrate(integral: Any) -> Any:
    """Tries the rules of textbooks first, which are quick where they apply."""
    try:
        with time_limit(share_of_time(1 / 3)):
            result = integral.doit(manual=True)
    except TimeoutError:
        return integral
    return integral if result.has(sympy.Integral, sympy.nan, sympy.zoo) else result


def _refuse_range(node: Any) -> Any:
    raise UnsupportedExpression(f"compile: expected whole numbers as range, got {node}.")


def normalize(expression: sympy.Expr, inputs: Sequence[str], domain: Domain) -> sympy.Expr:
    """Brings one expression to normal form.

    Args:
        expression: over plain symbols.
        inputs: the declared inputs.
        domain: intervals of inputs; used where a branch of Piecewise needs a safe point.

    Returns:
        The normal form, over real symbols of the same names.

    Raises:
        UnsupportedExpression: naming the part that has no exact network.

    Example:
        >>> x = sympy.Symbol("x")
        >>> normalize(sympy.Max(x, 0), ["x"], {})
        x/2 + Abs(x)/2
    """
    if expression.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
        raise UnsupportedExpression(f"compile: {expression} is not finite: a part of it is infinite or undefined.")
    _check_parts(expression)
    reals = {sympy.Symbol(name): sympy.Symbol(name, real=True) for name in inputs}
    memo: dict[Any, Any] = {}

    def visit(node: Any) -> Any:
        if node not in memo:
            memo[node] = compute(node)
        return memo[node]

    def compute(node: Any) -> Any:
        if node.is_Atom:
            return reals.get(node, node)
        if isinstance(node, sympy.Piecewise):
            # Conditions are read over real symbols, or SymPy keeps them as they are.
            branches: Any = node.xreplace(reals)
            return rewrite.piecewise(branches, visit, lambda e, pointed: _safe_point(e, inputs, domain, pointed))
        if isinstance(node, sympy.logic.boolalg.Boolean):
            raise UnsupportedExpression(f"compile: {node} is a condition, not a number. Use Piecewise or Heaviside.")
        args = [visit(argument) for argument in node.args]
        rule: Any = rewrite.RULES.get(node.func) or node.func
        result = rule(*args)
        if result.func is not node.func and result.has(*_NEEDS_RULE):
            result = visit(result)
        return result

    try:
        result = visit(expression)
        result = _realise(result)
        for part in parts_of(result):
            if part.definition.has(sympy.I):
                raise UnsupportedExpression(f"compile: {part.definition} has complex values.")
            _check(part.definition)
    except (CompileError, RecursionError):
        raise
    except Exception as error:  # SymPy fails in ways as many as it has functions
        said = str(error).strip().partition("\n")[0] or type(error).__name__
        raise UnsupportedExpression(f"compile: {expression}: {said}.") from None
    _check(result)
    return result


_NEEDS_RULE = (sympy.Max, sympy.Min, sympy.Mod, sympy.atan2, sympy.binomial, sympy.factorial, sympy.Piecewise)


def _realise(expression: Any) -> Any:
    """Removes the imaginary unit where the whole is real, as in exp(i x) + exp(-i x)."""
    if not expression.has(sympy.I):
        return expression
    real, imaginary = expression, None
    # Where the limit is reached, the imaginary unit is still there.
    with suppress(TimeoutError), time_limit(share_of_time(REALISE)):
        real = expression.expand(complex=True)
        if real.has(sympy.I):
            real, imaginary = expression.as_real_imag()
            imaginary = imaginary.simplify()
    if real.has(sympy.I, sympy.re, sympy.im) or imaginary not in (None, 0):
        part = min((e for e in sympy.preorder_traversal(expression) if e.has(sympy.I)), key=lambda e: e.count_ops())
        raise UnsupportedExpression(f"compile: {part if part != sympy.I else expression} has complex values.")
    return real


def _check(expression: Any) -> None:
    """Refuses, by name, everything that has no edge."""
    nodes: Any = sympy.preorder_traversal(expression)
    for node in nodes:
        if node.is_number:
            if node.is_real is False or node.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo):
                raise UnsupportedExpression(f"compile: {node} is not a finite real number.")
        elif not (node.is_Atom or node.is_Add or node.is_Mul) and row_of(node) is None:
            kind = "a function of several variables" if sum(not a.is_number for a in node.args) > 1 else "unknown"
            raise UnsupportedExpression(f"compile: {node} is {kind} and has no exact network.")


def _check_parts(expression: Any) -> None:
    """Refuses parts of complex values that have not been written out."""
    if parts := complex_parts(expression):
        raise UnsupportedExpression(
            f"compile: {parts[-1]} of real variables has no closed form in functions of real values. Write it with "
            "such, or pass approximate=True and a domain."
        )


def _safe_point(expression: Any, inputs: Sequence[str], domain: Domain, is_pointed: bool) -> dict[Any, Any]:
    """Finds a point at which an expression is finite; empty where it is finite on the whole domain."""
    points = sample(domain, inputs, 400)
    plain = without_parts(expression).xreplace({sympy.Symbol(n, real=True): sympy.Symbol(n) for n in inputs})
    finite = np.isfinite(reference_values([plain], inputs, points)[:, 0])
    if finite.all() and (not is_pointed or plain.is_polynomial()):
        return {}
    if not finite.any():
        raise UnsupportedExpression(f"compile: {plain} is nowhere finite and real on the domain. Declare another one.")
    point = points[finite][finite.sum() // 2]
    return {sympy.Symbol(name, real=True): sympy.Float(float(v)) for name, v in zip(inputs, point)}
