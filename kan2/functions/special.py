"""Rows of the function table beyond the elementary ones: steps, secants, gamma, Bessel, Airy, elliptic functions, ...

Where torch lacks a function or its gradient, SciPy computes the value, and the known derivative, itself made of
functions of this file, goes into the backward pass; so all orders of derivatives exist, and tensors may live on any
device. The *order* of a Bessel function is the shape parameter of its row; no gradient flows to it.

Reference: NIST Digital Library of Mathematical Functions, https://dlmf.nist.gov; the chapters stand in the rows.
"""

from collections.abc import Callable
from functools import partial
from math import factorial, inf, pi, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from kan2.errors import SpecError, named_options
from kan2.functions._later import Later
from kan2.functions.table import SymbolicFunction, add_built_in

if TYPE_CHECKING:
    import scipy.special as scipy_special
    import sympy
else:
    scipy_special, sympy = Later("scipy.special"), Later("sympy")

Unary = Callable[[Tensor], Tensor]


@named_options
def smooth(value: Callable[[Any], Any], derivative: Unary) -> Unary:
    """Makes a differentiable tensor function of a NumPy function and its derivative.

    Args:
        value: NumPy array -> array, elementwise.
        derivative: tensor -> tensor, elementwise; differentiable if second derivatives are wanted.

    Example:
        >>> cube = smooth(lambda x: x**3, lambda u: 3 * u * u)
        >>> u = torch.tensor([2.0], requires_grad=True)
        >>> torch.autograd.grad(cube(u).sum(), u)
        (tensor([12.]),)
    """

    for name, function in (("value", value), ("derivative", derivative)):
        if not callable(function):
            raise SpecError(f"functions.smooth: expected {name} as a function, got {function!r}.")

    class Elementwise(torch.autograd.Function):
        @staticmethod
        def forward(u: Tensor) -> Tensor:
            return _with_numpy(value, u)

        @staticmethod
        def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
            ctx.save_for_backward(inputs[0])
            ctx.save_for_forward(inputs[0])

        @staticmethod
        def backward(ctx: Any, gradient: Tensor) -> Tensor:
            return gradient * derivative(ctx.saved_tensors[0])

        @staticmethod
        def jvp(ctx: Any, tangent: Tensor) -> Tensor:
            return tangent * derivative(ctx.saved_tensors[0])

        @staticmethod
        def vmap(info: Any, in_dims: tuple[int], u: Tensor) -> tuple[Tensor, int]:
            return Elementwise.apply(u), in_dims[0]  # type: ignore[return-value]

    return Elementwise.apply  # type: ignore[return-value]


def _with_numpy(value: Callable[[Any], Any], u: Tensor) -> Tensor:
    with np.errstate(all="ignore"):
        result = np.asarray(value(u.detach().cpu().numpy().astype(np.float64)))
    return torch.as_tensor(result).to(u)


def _with_order(
    value: Callable[[Any, Any], Any], derivative: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Tensor, Tensor], Tensor]:
    """Makes a differentiable function of (u, order); the order itself is a constant."""

    def function(u: Tensor, order: Tensor) -> Tensor:
        constant = order.detach()
        return smooth(lambda x: value(constant.cpu().numpy(), x), lambda v: derivative(v, constant))(u)

    return function


def _expint(n: Any, x: Any) -> Any:
    below = np.minimum(n, 0)
    by_gamma = scipy_special.gammaincc(1 - below, x) * scipy_special.gamma(1 - below) * x ** (below - 1)
    return np.where(n > 0, scipy_special.expn(np.maximum(n, 1).astype(int), x), by_gamma)


def _order(p: Any) -> Any:
    return sympy.Integer(int(p)) if float(p) == int(p) else sympy.nsimplify(p, rational=True)


def _ordered(function: Any) -> Callable[[Any, Any], Any]:
    return lambda u, p: function(_order(p), u)


# -- differentiable functions, DLMF chapter in the row ------------------------------------------------------------

besselj = _with_order(scipy_special.jv, lambda u, p: (besselj(u, p - 1) - besselj(u, p + 1)) / 2)
bessel_j0 = smooth(scipy_special.j0, lambda u: -bessel_j1(u))
bessel_j1 = smooth(scipy_special.j1, lambda u: bessel_j0(u) - torch.where(u == 0, 0.5, bessel_j1(u) / u))
bessely = _with_order(scipy_special.yv, lambda u, p: (bessely(u, p - 1) - bessely(u, p + 1)) / 2)
besseli = _with_order(scipy_special.iv, lambda u, p: (besseli(u, p - 1) + besseli(u, p + 1)) / 2)
besselk = _with_order(scipy_special.kv, lambda u, p: -(besselk(u, p - 1) + besselk(u, p + 1)) / 2)
polygamma = _with_order(lambda n, x: scipy_special.polygamma(n.astype(int), x), lambda u, p: polygamma(u, p + 1))
expint = _with_order(lambda n, x: _expint(n, x), lambda u, p: -expint(u, p - 1))
legendre = _with_order(
    scipy_special.eval_legendre, lambda u, p: p * (u * legendre(u, p) - legendre(u, p - 1)) / (u * u - 1)
)
spherical_j = _with_order(
    lambda n, x: scipy_special.spherical_jn(n.astype(int), x),
    lambda u, p: p / u * spherical_j(u, p) - spherical_j(u, p + 1),
)
spherical_y = _with_order(
    lambda n, x: scipy_special.spherical_yn(n.astype(int), x),
    lambda u, p: p / u * spherical_y(u, p) - spherical_y(u, p + 1),
)
lowergamma = _with_order(
    lambda s, x: scipy_special.gammainc(s, x) * scipy_special.gamma(s), lambda u, p: u.pow(p - 1) * torch.exp(-u)
)
uppergamma = _with_order(
    lambda s, x: np.where(s == 0, scipy_special.exp1(x), scipy_special.gammaincc(s, x) * scipy_special.gamma(s)),
    lambda u, p: -u.pow(p - 1) * torch.exp(-u),
)
lambert_w = _with_order(
    lambda k, x: scipy_special.lambertw(x, k.astype(int)).real,
    lambda u, p: torch.exp(-lambert_w(u, p)) / (1 + lambert_w(u, p)),
)
elliptic_f = _with_order(
    lambda m, z: scipy_special.ellipkinc(z, m), lambda u, p: torch.rsqrt(1 - p * torch.sin(u) ** 2)
)
elliptic_e_z = _with_order(
    lambda m, z: scipy_special.ellipeinc(z, m), lambda u, p: torch.sqrt(1 - p * torch.sin(u) ** 2)
)


# The numbers of Bernoulli of even index, from the second on, DLMF 24.2(iv).
_BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330)


def _zeta(u: Tensor) -> Tensor:
    """Evaluates the zeta function for u > 1 by the Euler-Maclaurin formula, DLMF 25.2.9."""
    n = 12
    total = torch.pow(float(n), 1 - u) / (u - 1) + torch.pow(float(n), -u) / 2
    for i in range(1, n):
        total = total + torch.pow(float(i), -u)
    term = u * torch.pow(float(n), -u - 1)
    for i, bernoulli in enumerate(_BERNOULLI, start=1):
        total = total + bernoulli / factorial(2 * i) * term
        term = term * (u + 2 * i - 1) * (u + 2 * i) / n**2
    return total


def sinh_ratio(u: Tensor) -> Tensor:
    """Evaluates sinh(u)/u, which is 1 at 0."""
    safe = torch.where(u == 0, torch.ones_like(u), u)
    return torch.where(u == 0, torch.ones_like(u) + u * u / 6, torch.sinh(safe) / safe)


def sinc(u: Tensor) -> Tensor:
    """Evaluates sin(u)/u, which is 1 at 0."""
    return torch.sinc(u / pi)


def _near_zero(u: Tensor, series: tuple[float, ...], formula: Unary) -> Tensor:
    """Evaluates a formula that is 0/0 at u = 0, by its power series there."""
    is_small = u.abs() < 1e-3
    total = torch.zeros_like(u)
    for coefficient in reversed(series):
        total = total * u + coefficient
    return torch.where(is_small, total, formula(torch.where(is_small, torch.full_like(u, 0.5), u)))


# torch's own trigamma is right to 5e-10 only, so the derivatives of torch.lgamma are not used.
gamma = smooth(scipy_special.gamma, lambda u: gamma(u) * polygamma(u, torch.tensor(0.0)))
loggamma = smooth(scipy_special.gammaln, lambda u: polygamma(u, torch.tensor(0.0)))
erfi = smooth(scipy_special.erfi, lambda u: 2 / sqrt(pi) * torch.exp(u * u))
airyai = smooth(lambda x: scipy_special.airy(x)[0], lambda u: airyaiprime(u))
airyaiprime = smooth(lambda x: scipy_special.airy(x)[1], lambda u: u * airyai(u))
airybi = smooth(lambda x: scipy_special.airy(x)[2], lambda u: airybiprime(u))
airybiprime = smooth(lambda x: scipy_special.airy(x)[3], lambda u: u * airybi(u))
sine_integral = smooth(lambda x: scipy_special.sici(x)[0], sinc)
cosine_integral = smooth(lambda x: scipy_special.sici(x)[1], lambda u: torch.cos(u) / u)
sinh_integral = smooth(lambda x: scipy_special.shichi(x)[0], sinh_ratio)
cosh_integral = smooth(lambda x: scipy_special.shichi(x)[1], lambda u: torch.cosh(u) / u)
exponential_integral = smooth(scipy_special.expi, lambda u: torch.exp(u) / u)
fresnels = smooth(lambda x: scipy_special.fresnel(x)[0], lambda u: torch.sin(pi / 2 * u * u))
fresnelc = smooth(lambda x: scipy_special.fresnel(x)[1], lambda u: torch.cos(pi / 2 * u * u))

_K_SERIES = tuple(pi / 2 * c for c in (1 / 4, 9 / 32, 75 / 256, 1225 / 4096, 19845 / 65536))
_E_SERIES = tuple(-pi / 2 * c for c in (1 / 4, 3 / 32, 15 / 256, 175 / 4096, 2205 / 65536))
elliptic_k = smooth(
    scipy_special.ellipk,
    lambda u: _near_zero(u, _K_SERIES, lambda m: (elliptic_e(m) / (1 - m) - elliptic_k(m)) / (2 * m)),
)
elliptic_e = smooth(
    scipy_special.ellipe, lambda u: _near_zero(u, _E_SERIES, lambda m: (elliptic_e(m) - elliptic_k(m)) / (2 * m))
)


def _heaviside(u: Tensor, p: Tensor) -> Tensor:
    return torch.where(u == 0, p, (u > 0).to(u)) + torch.where(torch.isnan(u), u, torch.zeros_like(u))


def _rows() -> list[SymbolicFunction]:
    row, slow = SymbolicFunction, partial(SymbolicFunction, is_slow=True)
    return [
        row("sec", lambda u: 1 / torch.cos(u), sympy.sec, 4, reference="DLMF 4.14"),
        row("csc", lambda u: 1 / torch.sin(u), sympy.csc, 4, domain=(0, pi), reference="DLMF 4.14"),
        row("cot", lambda u: 1 / torch.tan(u), sympy.cot, 4, domain=(0, pi), reference="DLMF 4.14"),
        row("asec", lambda u: torch.acos(1 / u), sympy.asec, 5, domain=(1, inf), reference="DLMF 4.23"),
        row("acsc", lambda u: torch.asin(1 / u), sympy.acsc, 5, domain=(1, inf), reference="DLMF 4.23"),
        row("acot", lambda u: torch.atan(1 / u), sympy.acot, 5, domain=(0, inf), reference="DLMF 4.23"),
        row("sech", lambda u: 1 / torch.cosh(u), sympy.sech, 4, reference="DLMF 4.28"),
        row("csch", lambda u: 1 / torch.sinh(u), sympy.csch, 4, domain=(0, inf), reference="DLMF 4.28"),
        row("coth", lambda u: 1 / torch.tanh(u), sympy.coth, 4, domain=(0, inf), reference="DLMF 4.28"),
        row("asech", lambda u: torch.acosh(1 / u), sympy.asech, 5, domain=(0, 1), reference="DLMF 4.37"),
        row("acsch", lambda u: torch.asinh(1 / u), sympy.acsch, 5, domain=(0, inf), reference="DLMF 4.37"),
        row("acoth", lambda u: torch.atanh(1 / u), sympy.acoth, 5, domain=(1, inf), reference="DLMF 4.37"),
        row("floor", torch.floor, sympy.floor, 4),
        row("ceil", torch.ceil, sympy.ceiling, 4),
        row("heaviside", _heaviside, lambda u, p: sympy.Heaviside(u, _order(p)), 4, shape=0.5, reference="DLMF 1.16"),
        row("sinc", sinc, sympy.sinc, 4, reference="DLMF 3.3"),
        row("erfc", torch.erfc, sympy.erfc, 4, reference="DLMF 7.2"),
        slow("erfi", erfi, sympy.erfi, 5, reference="DLMF 7.2"),
        slow("gamma", gamma, sympy.gamma, 5, domain=(0, inf), reference="DLMF 5.2"),
        slow("loggamma", loggamma, sympy.loggamma, 5, domain=(0, inf), reference="DLMF 5.2"),
        slow("polygamma", polygamma, _ordered(sympy.polygamma), 5, domain=(0, inf), shape=0.0, reference="DLMF 5.15"),
        slow("lowergamma", lowergamma, _ordered(sympy.lowergamma), 6, domain=(0, inf), shape=1.0, reference="DLMF 8.2"),
        slow("uppergamma", uppergamma, _ordered(sympy.uppergamma), 6, domain=(0, inf), shape=1.0, reference="DLMF 8.2"),
        slow("zeta", _zeta, sympy.zeta, 6, domain=(1, inf), reference="DLMF 25.2"),
        slow("besselj", besselj, _ordered(sympy.besselj), 5, domain=(0, inf), shape=0.0, reference="DLMF 10.2"),
        slow("J0", bessel_j0, lambda u: sympy.besselj(0, u), 4, reference="DLMF 10.2"),
        slow("J1", bessel_j1, lambda u: sympy.besselj(1, u), 4, reference="DLMF 10.2"),
        slow("bessely", bessely, _ordered(sympy.bessely), 5, domain=(0, inf), shape=0.0, reference="DLMF 10.2"),
        slow("besseli", besseli, _ordered(sympy.besseli), 5, domain=(0, inf), shape=0.0, reference="DLMF 10.25"),
        slow("besselk", besselk, _ordered(sympy.besselk), 5, domain=(0, inf), shape=0.0, reference="DLMF 10.25"),
        slow("jn", spherical_j, _ordered(sympy.jn), 5, domain=(0, inf), shape=0.0, reference="DLMF 10.47"),
        slow("yn", spherical_y, _ordered(sympy.yn), 5, domain=(0, inf), shape=0.0, reference="DLMF 10.47"),
        slow("airyai", airyai, sympy.airyai, 5, reference="DLMF 9.2"),
        slow("airybi", airybi, sympy.airybi, 5, reference="DLMF 9.2"),
        slow("airyaiprime", airyaiprime, sympy.airyaiprime, 6, reference="DLMF 9.2"),
        slow("airybiprime", airybiprime, sympy.airybiprime, 6, reference="DLMF 9.2"),
        slow("LambertW", lambert_w, lambda u, p: sympy.LambertW(u, _order(p)), 5, domain=(-np.exp(-1), inf), shape=0.0,
            reference="DLMF 4.13"),
        slow("elliptic_k", elliptic_k, sympy.elliptic_k, 5, domain=(-inf, 1), reference="DLMF 19.2"),
        slow("elliptic_e", elliptic_e, sympy.elliptic_e, 5, domain=(-inf, 1), reference="DLMF 19.2"),
        slow("elliptic_f(z|m)", elliptic_f, lambda u, p: sympy.elliptic_f(u, p), 6, shape=0.5, reference="DLMF 19.2"),
        slow("elliptic_e(z|m)", elliptic_e_z, lambda u, p: sympy.elliptic_e(u, p), 6, shape=0.5, reference="DLMF 19.2"),
        slow("Si", sine_integral, sympy.Si, 5, reference="DLMF 6.2"),
        slow("Ci", cosine_integral, sympy.Ci, 5, domain=(0, inf), reference="DLMF 6.2"),
        slow("Shi", sinh_integral, sympy.Shi, 5, reference="DLMF 6.2"),
        slow("Chi", cosh_integral, sympy.Chi, 5, domain=(0, inf), reference="DLMF 6.2"),
        slow("Ei", exponential_integral, sympy.Ei, 5, domain=(0, inf), reference="DLMF 6.2"),
        slow("li", lambda u: exponential_integral(torch.log(u)), sympy.li, 6, domain=(1, inf), reference="DLMF 6.2"),
        slow("expint", expint, _ordered(sympy.expint), 6, domain=(0, inf), shape=1.0, reference="DLMF 8.19"),
        row("fresnels", fresnels, sympy.fresnels, 5, reference="DLMF 7.2"),
        row("fresnelc", fresnelc, sympy.fresnelc, 5, reference="DLMF 7.2"),
        slow("legendre", legendre, _ordered(sympy.legendre), 6, domain=(-1, 1), shape=1.0, reference="DLMF 14.2"),
    ]  # fmt: skip


ROWS: dict[str, SymbolicFunction] = add_built_in(_rows())
"""The rows of this file."""

SPECIAL: tuple[str, ...] = tuple(ROWS)
"""Their names."""
