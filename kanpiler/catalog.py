"""Which row of the function table a SymPy function is, and with which shape parameter.

`row_of` is the compiler's only knowledge of single functions: whatever it finds becomes an edge, everything else must
have been rewritten before.

Reference: https://docs.sympy.org/latest/modules/functions/index.html
"""

from typing import Any

import sympy

_SAME_NAME = """
exp log sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sign erf erfc erfi sec csc cot asec acsc acot
sech csch coth asech acsch acoth floor gamma loggamma sinc airyai airybi airyaiprime airybiprime elliptic_k elliptic_e
Si Ci Shi Chi Ei li fresnels fresnelc
"""
_ONE_ARGUMENT: dict[Any, str] = {getattr(sympy, name): name for name in _SAME_NAME.split()}
_ONE_ARGUMENT |= {sympy.Abs: "abs", sympy.ceiling: "ceil"}

_ORDER_FIRST: dict[Any, str] = {
    sympy.besselj: "besselj",
    sympy.bessely: "bessely",
    sympy.besseli: "besseli",
    sympy.besselk: "besselk",
    sympy.polygamma: "polygamma",
    sympy.uppergamma: "uppergamma",
    sympy.lowergamma: "lowergamma",
    sympy.expint: "expint",
    sympy.legendre: "legendre",
}

_POWERS: dict[Any, str] = {
    sympy.Integer(2): "x^2",
    sympy.Integer(3): "x^3",
    sympy.Integer(4): "x^4",
    sympy.Integer(5): "x^5",
    sympy.Integer(-1): "1/x",
    sympy.Integer(-2): "1/x^2",
    sympy.Integer(-3): "1/x^3",
    sympy.Rational(1, 2): "sqrt",
    sympy.Rational(-1, 2): "1/sqrt",
}


def row_of(expression: sympy.Expr) -> tuple[str, sympy.Expr, sympy.Expr | None] | None:
    """Finds the row that evaluates the outermost function of an expression.

    Args:
        expression: a function or power of one argument.

    Returns:
        (name, argument, shape parameter or None), or None when no row fits.

    Example:
        >>> x = sympy.Symbol("x")
        >>> row_of(sympy.sqrt(x + 1))
        ('sqrt', x + 1, None)
    """
    head: Any = expression.func
    args: Any = expression.args
    if head is sympy.Pow:
        base, exponent = args
        if not exponent.is_number or exponent.is_real is False:
            return None
        if isinstance(exponent, sympy.Float):
            exponent = sympy.nsimplify(exponent) if float(exponent) * 2 == int(exponent * 2) else exponent
        if exponent in _POWERS:
            return _POWERS[exponent], base, None
        return "power", base, exponent
    if head in _ONE_ARGUMENT and len(args) == 1:
        return _ONE_ARGUMENT[head], args[0], None
    if head in _ORDER_FIRST and len(args) == 2 and _is_real_number(args[0]):
        return _ORDER_FIRST[head], args[1], args[0]
    if head in (sympy.jn, sympy.yn) and args[0].is_Integer and args[0] >= 0:
        return head.__name__, args[1], args[0]
    if head is sympy.Heaviside and _is_real_number(args[1]):
        return "heaviside", args[0], args[1]
    if head is sympy.LambertW and (len(args) == 1 or args[1] in (0, -1)):
        return "LambertW", args[0], args[1] if len(args) == 2 else sympy.Integer(0)
    if head is sympy.zeta and len(args) == 1:
        return "zeta", args[0], None
    if head in (sympy.elliptic_f, sympy.elliptic_e) and len(args) == 2 and _is_real_number(args[1]):
        return f"{head.__name__}(z|m)", args[0], args[1]
    return None


def _is_real_number(value: sympy.Expr) -> bool:
    return bool(value.is_number and value.is_real)
