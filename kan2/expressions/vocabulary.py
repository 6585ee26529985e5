"""The words that formulas may use: functions by every name users give them, constants and Greek letters.

`FUNCTIONS` maps a name to the SymPy callable it stands for. It is the whitelist of the text and LaTeX parsers: what is
not in it cannot be called. `ARITIES` says with how many arguments.

Reference: https://docs.sympy.org/latest/modules/functions/index.html
"""

import re
from collections.abc import Callable
from typing import Any

import sympy

from kan2.expressions.matrices import matrix

_SYMPY_NAMES = """
sin cos tan sec csc cot asin acos atan asec acsc acot sinh cosh tanh sech csch coth asinh acosh atanh asech acsch acoth
exp log sqrt cbrt Abs sign floor ceiling Max Min Mod Heaviside atan2 erf erfc erfi gamma loggamma digamma polygamma beta
lowergamma uppergamma factorial binomial zeta LambertW besselj bessely besseli besselk jn yn airyai airybi airyaiprime
airybiprime elliptic_k elliptic_e elliptic_f elliptic_pi Si Ci Shi Chi Ei li fresnels fresnelc sinc legendre chebyshevt
chebyshevu hermite laguerre gegenbauer jacobi assoc_legendre assoc_laguerre Derivative Integral Sum Product Rational
"""
_ORDERED_NAMES = """
factorial gamma loggamma digamma polygamma zeta binomial beta legendre chebyshevt chebyshevu hermite jn yn laguerre
gegenbauer jacobi assoc_legendre assoc_laguerre besselj bessely besseli besselk
"""
_GREEK_NAMES = """
alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma sigma tau upsilon phi chi
psi omega
"""


def _root(x: sympy.Expr, n: sympy.Expr) -> sympy.Expr:
    """The real root: of negative numbers too, where n is an odd whole number."""
    if x.has(sympy.I):
        raise ValueError(f"expected a real value in a real root, got {x}. Write **(1/{n}) for the principal one")
    if n.is_Integer and n.is_odd and x.is_nonnegative is not True:
        return sympy.sign(x) * sympy.Abs(x) ** (1 / n)
    return sympy.Pow(x, 1 / n)


def _extreme(function: Any) -> Callable[..., Any]:
    """Makes Max or Min of many arguments as they are: SymPy compares all pairs, in quadratic time."""

    def of(*args: sympy.Expr) -> sympy.Expr:
        if len(args) <= MAX_COMPARED or not all(isinstance(argument, sympy.Expr) for argument in args):
            return function(*args)
        numbers = [argument for argument in args if argument.is_number]
        rest = list(dict.fromkeys(argument for argument in args if not argument.is_number))
        rest += [function(*numbers)] if numbers else []
        return function(*rest, evaluate=False) if len(rest) > 1 else function(*rest)

    return of


def _part(function: Any) -> Callable[[sympy.Expr], sympy.Expr]:
    """Makes a part of a complex value as it is: `real_form` is quicker, knowing that variables are real."""
    return lambda z: function(z, evaluate=function is sympy.Abs and not z.has(sympy.I))


MAX_COMPARED = 8


FUNCTIONS: dict[str, Callable[..., Any]] = {name: getattr(sympy, name) for name in _SYMPY_NAMES.split()}
FUNCTIONS |= {f"arc{name[1:]}": f for name, f in FUNCTIONS.items() if name[0] == "a" and name[1:] in FUNCTIONS}
FUNCTIONS |= {f"ar{name[1:]}": f for name, f in FUNCTIONS.items() if re.fullmatch("a[a-z]{3}h", name)}
FUNCTIONS |= {
    "Piecewise": sympy.Piecewise,
    **dict.fromkeys(("abs", "Abs"), _part(sympy.Abs)),
    **{name: _part(getattr(sympy, name)) for name in ("re", "im", "conjugate", "arg")},
    "arctan2": sympy.atan2,
    "cbrt": lambda x: _root(x, sympy.Integer(3)),
    "ceil": sympy.ceiling,
    "diff": sympy.Derivative,
    "E1": lambda x: sympy.expint(1, x),
    "ellipe": sympy.elliptic_e,
    "ellipk": sympy.elliptic_k,
    "expint": sympy.expint,
    "frac": sympy.frac,
    "heaviside": sympy.Heaviside,
    "hypot": lambda x, y: sympy.sqrt(x**2 + y**2),
    "integrate": sympy.Integral,
    "J0": lambda x: sympy.besselj(0, x),
    "J1": lambda x: sympy.besselj(1, x),
    "lambertw": sympy.LambertW,
    "lgamma": sympy.loggamma,
    "ln": sympy.log,
    "log10": lambda x: sympy.log(x, 10),
    "log2": lambda x: sympy.log(x, 2),
    **dict.fromkeys(("max", "Max"), _extreme(sympy.Max)),
    **dict.fromkeys(("min", "Min"), _extreme(sympy.Min)),
    "Matrix": matrix,
    "mod": sympy.Mod,
    "prod": sympy.Product,
    "root": _root,
    "sgn": sympy.sign,
    "sigmoid": lambda x: 1 / (1 + sympy.exp(-x)),
    "sum": sympy.Sum,
    "Y0": lambda x: sympy.bessely(0, x),
    "Y1": lambda x: sympy.bessely(1, x),
}

_TWO = """
polygamma beta lowergamma uppergamma binomial besselj bessely besseli besselk jn yn elliptic_f legendre chebyshevt
chebyshevu hermite laguerre Mod mod atan2 arctan2 hypot root expint
"""
_OTHER_ARITIES: dict[tuple[int, int | None], str] = {
    (2, 2): _TWO,
    (1, 2): "log Heaviside heaviside zeta LambertW lambertw elliptic_e ellipe Rational",
    (2, 3): "elliptic_pi",
    (3, 3): "gegenbauer assoc_legendre assoc_laguerre",
    (4, 4): "jacobi",
    (1, None): "Max max Min min Piecewise Derivative diff Integral integrate",
    (2, None): "Sum sum Product prod",
}
ARITIES: dict[str, tuple[int, int | None]] = {
    **dict.fromkeys(FUNCTIONS, (1, 1)),
    **{name: arity for arity, names in _OTHER_ARITIES.items() for name in names.split()},
}
"""How many arguments a function takes, at least and at most (None: any number). SymPy takes more, such as `evaluate`,
and fewer."""

BINDERS = {"Integral", "integrate", "Sum", "sum", "Product", "prod"}
"""Functions whose second argument (variable, low, high) declares a variable of its own."""

ORDERED = set(_ORDERED_NAMES.split())
"""Functions that SymPy expands at once for whole numbers, so their numbers must stay small."""

_ALSO_VARIABLES_NAMES = "gamma beta zeta li root mod sum prod diff J0 J1 Y0 Y1 re im conjugate arg Matrix"
ALSO_VARIABLES = set(_ALSO_VARIABLES_NAMES.split())
"""Function names that are common variables too: they are functions only in front of a parenthesis."""

CONSTANTS = {"pi": sympy.pi, "π": sympy.pi, "E": sympy.E, "ℯ": sympy.E}
"""Names of constants; `E` only in what SymPy has printed."""

IMAGINARY = {"I", "ⅈ"}
"""Names of the imaginary unit within `COMPLEX`, where they are not declared; elsewhere they are refused."""

COMPLEX = {"re", "im", "conjugate", "arg", "Abs", "abs"}
"""Functions whose arguments may be complex; what comes out is real, but for conjugates."""

GREEK = dict(zip("αβγδεζηθικλμνξοπρσςτυφχψω", _GREEK_NAMES.split(), strict=True))
