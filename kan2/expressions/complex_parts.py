"""Parts of complex values, over variables that are all real: re(exp(i w t)) is cos(w t), |x + i y| is sqrt(x^2 + y^2).

SymPy's symbols may be complex, so that it leaves re(x) as it is. Here every symbol is real: real and imaginary parts,
conjugates, angles and absolute values of complex values are written out as formulas of real values, those of principal
values where roots and logarithms have several. What is written out is compared with the original at some points; where
the two differ, or where there is no closed form, the part stays.

Reference: https://dlmf.nist.gov/1.9
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sympy
from sympy import I, arg, atan2, conjugate, cos, exp, im, log, re, sin, sqrt

_PARTS = (re, im, conjugate, arg)
_SIZES = (sympy.Abs, sympy.sign)
_LINEAR = (sympy.Integral, sympy.Sum, sympy.Derivative)
_CALCULUS = (*_LINEAR, sympy.Product, sympy.Limit, sympy.Subs)
_REAL_NAMES = """
exp sin cos tan sec csc cot sinh cosh tanh sech csch coth atan acot asinh atan2 Abs sign Max Min Mod floor ceiling frac
Heaviside erf erfc erfi gamma digamma beta binomial factorial airyai airybi airyaiprime airybiprime Si Shi fresnels
fresnelc sinc
"""
# At real arguments real wherever they are finite, which SymPy knows of some of them only.
_REAL = tuple(getattr(sympy, name) for name in _REAL_NAMES.split())
_OF_WHOLE_ORDER_NAMES = "besselj besseli polygamma legendre chebyshevt chebyshevu hermite laguerre gegenbauer jacobi"
_REAL_OF_WHOLE_ORDER = tuple(getattr(sympy, name) for name in _OF_WHOLE_ORDER_NAMES.split())
# What is zero has 1e-16 of its terms, and (x + i y)^60, multiplied out, differs from the power by 1e-7.
_ROUNDING, _ANOTHER = 1e-12, 1e-4


def complex_parts(expression: Any) -> list[Any]:
    """Returns the parts of complex values in an expression, the largest first.

    Example:
        >>> x = sympy.Symbol("x")
        >>> complex_parts(re(x) + abs(x) + abs(x + I))
        [Abs(x + I), re(x)]
    """
    if not expression.has(*_PARTS) and not (expression.has(I) and expression.has(*_SIZES)):
        return []
    parts: Any = expression.atoms(*_PARTS, *_SIZES)
    return sorted(filter(is_complex_part, parts), key=lambda part: (-part.count_ops(), str(part)))


def is_complex_part(node: Any) -> bool:
    """Whether a node is a real or imaginary part, a conjugate, an angle, or the size of a complex value."""
    return isinstance(node, _PARTS) or (isinstance(node, _SIZES) and node.has(I))


def _is_complex_root(node: Any) -> bool:
    # SymPy writes |1 + exp(i x)| so, where it knows x as real.
    return node.is_Pow and not node.exp.is_integer and node.base.has(I)


def is_to_write_out(expression: Any) -> bool:
    """Whether `real_form` has something to do.

    Example:
        >>> x = sympy.Symbol("x")
        >>> is_to_write_out(re(x)), is_to_write_out(abs(x) + I)
        (True, False)
    """
    if expression.has(*_PARTS):
        return True
    if not expression.has(I):
        return False
    return any(is_complex_part(node) or _is_complex_root(node) for node in expression.atoms(*_SIZES, sympy.Pow))


def real_form(expression: Any) -> Any:
    """Writes out the parts of complex values, all variables being real.

    Args:
        expression: any; a part without a closed form stays in it.

    Returns:
        An equal expression over the same symbols; the same object where there is nothing to do.

    Raises:
        Exception: SymPy refuses a part, such as the maximum of complex values, in ways as many as it has functions.

    Example:
        >>> w, t = sympy.symbols("w t")
        >>> real_form(re(sympy.exp(I * w * t)))
        cos(t*w)
    """
    if not is_to_write_out(expression):
        return expression
    symbols = sorted(expression.atoms(sympy.Symbol), key=lambda s: s.name)
    reals = {s: s if s.is_extended_real else sympy.Dummy(s.name, real=True) for s in symbols}
    value = _Writer(reals).visit(expression)
    if not value.has(*_CALCULUS) and not _agree(expression, symbols, value, [*reals.values()]):
        return expression
    return value.xreplace({real: s for s, real in reals.items()})


class _Writer:
    """Writes out parts, the inner ones first, over symbols that are real.

    Args:
        reals: real symbols for those of the expression.
    """

    def __init__(self, reals: Mapping[Any, Any]) -> None:
        self.reals = reals
        self.done: dict[Any, Any] = {}

    def visit(self, node: Any) -> Any:
        if not is_to_write_out(node):
            return node.xreplace(self.reals)
        if node not in self.done:
            args = [self.visit(argument) for argument in node.args]
            self.done[node] = self.written(node.func, args[0]) if is_complex_part(node) else self.root(node.func(*args))
        return self.done[node]

    def root(self, node: Any) -> Any:
        if not _is_complex_root(node):
            return node
        real, imaginary = self.split(node.base)
        return real**node.exp if _is_zero(imaginary) else node

    def written(self, part: Any, z: Any) -> Any:
        real, imaginary = self.split(z)
        if part is re:
            return real
        if part is im:
            return imaginary
        if part is conjugate:
            return real - I * imaginary
        if _is_open(real) or _is_open(imaginary):
            return part(z, evaluate=False)
        if part is arg:
            return atan2(imaginary, real)
        return self.size(z) if part is sympy.Abs else (real + I * imaginary) / self.size(z)

    def split(self, z: Any) -> tuple[Any, Any]:
        """Returns real and imaginary part; as re(z) and im(z) where they have no closed form."""
        if _is_real(z):
            return z, sympy.S.Zero
        if z == I:
            return sympy.S.Zero, sympy.S.One
        if z.is_Add:
            pairs = [self.split(term) for term in z.args]
            return sympy.Add(*(real for real, _ in pairs)), sympy.Add(*(imaginary for _, imaginary in pairs))
        if z.is_Mul:
            real, imaginary = sympy.S.One, sympy.S.Zero
            for factor in z.args:
                a, b = self.split(factor)
                real, imaginary = real * a - imaginary * b, real * b + imaginary * a
            return real, imaginary
        if isinstance(z, sympy.Piecewise):
            branches: Any = z.args
            pairs = [(self.split(value), condition) for value, condition in branches]
            real, imaginary = (sympy.Piecewise(*((pair[i], condition) for pair, condition in pairs)) for i in (0, 1))
            return real, imaginary
        if isinstance(z, _LINEAR):
            real, imaginary = (z.func(part, *z.args[1:]) for part in self.split(z.args[0]))
            return real, imaginary
        if z.is_Pow:
            return self.power(z.base, z.exp)
        if len(z.args) == 1 and isinstance(z, sympy.Function):
            return self.function(z)
        return re(z), im(z)

    def size(self, z: Any) -> Any:
        """Returns |z|, factor by factor."""
        if z.is_Mul:
            return sympy.Mul(*map(self.size, z.args))
        if z.is_Pow and _is_real(z.exp):
            return self.size(z.base) ** z.exp
        real, imaginary = self.split(z.args[0] if isinstance(z, exp) else z)
        if isinstance(z, exp):
            return exp(real)
        return sqrt(real**2 + imaginary**2) if real != 0 and imaginary != 0 else sympy.Abs(real + imaginary)

    def power(self, base: Any, exponent: Any) -> tuple[Any, Any]:
        a, b = self.split(base)
        if exponent.is_Integer:
            return _of_real(a, b, lambda z: z**exponent)
        c, d = self.split(exponent)
        size, angle = self.size(base), atan2(b, a)
        turn = c * angle + d * log(size)
        return size**c * exp(-d * angle) * cos(turn), size**c * exp(-d * angle) * sin(turn)

    def function(self, z: Any) -> tuple[Any, Any]:
        a, b = self.split(z.args[0])
        if isinstance(z, log):
            return log(self.size(z.args[0])), atan2(b, a)
        real, imaginary = _of_real(a, b, z.func)
        return (re(z), im(z)) if _is_open(real) or _is_open(imaginary) else (real, imaginary)


def _of_real(a: Any, b: Any, function: Any) -> tuple[Any, Any]:
    """Returns the parts of a function of a + i b, of which SymPy need not know that a and b are real."""
    x, y = (number if number.is_number else sympy.Dummy(real=True) for number in (a, b))
    parts = function(x + I * y).as_real_imag()
    real, imaginary = (part.xreplace({x: a, y: b}) for part in parts)
    return real, imaginary


def _is_open(expression: Any) -> bool:
    return expression.has(*_PARTS)


def _is_real(z: Any) -> bool:
    if z.is_extended_real:
        return True
    if z.is_Atom:
        return False
    if isinstance(z, sympy.Piecewise):
        branches: Any = z.args
        return all(_is_real(value) for value, _ in branches)
    if isinstance(z, (*_LINEAR, sympy.Product)):
        return _is_real(z.args[0])
    if not all(map(_is_real, z.args)):
        return False
    if z.is_Pow:
        return bool(z.exp.is_integer or _is_nonnegative(z.base))
    whole = isinstance(z, _REAL_OF_WHOLE_ORDER) and z.args[0].is_Integer
    return z.is_Add or z.is_Mul or isinstance(z, _REAL) or whole


def _is_nonnegative(z: Any) -> bool:
    # Of a real value. SymPy knows it of symbols that are, and of squares of symbols.
    if z.is_Add or z.is_Mul:
        return all(map(_is_nonnegative, z.args))
    is_even = z.is_Pow and (z.exp.is_even or _is_nonnegative(z.base))
    return bool(z.is_nonnegative or is_even or isinstance(z, sympy.Abs | exp))


def _is_zero(expression: Any) -> bool:
    terms = sympy.Add.make_args(sympy.expand(expression))
    if len(terms) == 1:
        return terms[0] == 0
    values = _values(terms, sorted(expression.free_symbols, key=str), float)
    if values is None:
        return False
    total, size = np.abs(values.sum(axis=0)), np.abs(values).max(axis=0)
    finite = np.isfinite(total)
    return bool(finite.any() and (total <= _ROUNDING * size)[finite].all())


def _agree(expression: Any, symbols: Sequence[Any], value: Any, reals: Sequence[Any]) -> bool:
    a, b = _values([expression], symbols, complex), _values([value], reals, float)
    if a is None or b is None:
        return True
    finite = np.isfinite(a) & np.isfinite(b)
    if not finite.any():
        return True
    a, b = a[finite], b[finite]
    return bool((np.abs(a - b) <= _ANOTHER * np.maximum(np.abs(a), np.median(np.abs(a))) + _ROUNDING).all())


def _values(expressions: Sequence[Any], symbols: Sequence[Any], kind: type) -> Any:
    """Returns values, (expression, point), at points of both signs; None where a function is not known here."""
    generator = np.random.default_rng(0)
    points = np.concatenate([generator.uniform(low, 2.7, (4, len(symbols))) for low in (0.3, -2.7)]).astype(kind)
    known: dict[Any, Any] = dict(zip(symbols, points.T))

    def value(node: Any) -> Any:
        if node not in known:
            # Adding 0 makes -0 positive: a negative number lies on one side of the cut of the logarithm.
            known[node] = complex(node) if node.is_number else _NUMPY[node.func](*map(value, node.args)) + 0
        return known[node]

    try:
        with np.errstate(all="ignore"):
            return np.stack([np.broadcast_to(value(e), len(points)).astype(complex) for e in expressions])
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


_NUMPY_NAMES = "exp log sin cos tan sinh cosh tanh conjugate"
_NUMPY: dict[Any, Any] = {getattr(sympy, name): getattr(np, name) for name in _NUMPY_NAMES.split()}
_NUMPY |= {
    sympy.Add: lambda *terms: sum(terms),
    sympy.Mul: lambda *factors: np.prod(np.broadcast_arrays(*factors), axis=0),
    sympy.Pow: np.power,
    sympy.Abs: np.abs,
    sympy.sign: lambda z: z / np.abs(z),
    re: np.real,
    im: np.imag,
    arg: np.angle,
    atan2: lambda y, x: np.arctan2(np.real(y), np.real(x)),
    sympy.asinh: np.arcsinh,
    sympy.atan: np.arctan,
}
