"""The table of symbolic functions: one row holds everything the package knows about a function of one variable.

A symbolic edge evaluates `c * f(a x + b) + d`, where f is a row of this table. A row may have a *shape parameter*, a
second argument that is a number and not a variable: the exponent of a power, the order of a Bessel function.

The *gauge* of a row says which of a and b are redundant, because f itself can absorb them: for f = exp, b only
rescales c; for f(u) = u^2, a only rescales c; for f(u) = u both do. Training and the reading of constants leave
redundant numbers fixed, so that every number of a formula is determined by the data.

Reference: Abramowitz, Stegun, Handbook of Mathematical Functions (1964).
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, pi
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from kan2.errors import SpecError, UnknownNameError, named_options, unknown_name
from kan2.functions._later import Found, Later
from kan2.options import choice, flag, is_number, number, whole

if TYPE_CHECKING:
    import sympy
else:
    sympy = Later("sympy")

Gauge = Literal["affine", "periodic", "scale", "shift", "linear", "constant"]

FREE: dict[str, str] = {
    "affine": "abcd",
    "periodic": "abcd",
    "scale": "bcd",
    "shift": "acd",
    "linear": "cd",
    "constant": "d",
}
"""For each gauge, the numbers of `c f(a x + b) + d` that are not redundant."""


@named_options
@dataclass(frozen=True)
class SymbolicFunction:
    """One row: a function of one real variable in all the forms that the package needs.

    Attributes:
        name: the name users type.
        torch: u -> f(u) on tensors, or (u, p) -> f(u; p) when there is a shape parameter; differentiable.
        sympy: the same on SymPy expressions.
        complexity: what using it costs when formulas are compared; the identity costs 1.
        gauge: which of a, b are redundant, see the module docstring.
        domain: open interval of real arguments on which f is finite and real.
        shape: default value of the shape parameter; None where there is none.
        inverse: name of the inverse function, where the table has it.
        reference: section of Abramowitz and Stegun, or another source.
        latex: how f is written in LaTeX, `{}` standing for its argument, such as r"\\operatorname{{f}}({})"; empty for
            what SymPy writes.
        is_slow: whether searches use a table of values instead of calling the function many times; it must be smooth
            within its domain.
    """

    name: str
    torch: Callable[..., Tensor]
    sympy: Callable[..., Any]
    complexity: int
    gauge: Gauge = "affine"
    domain: tuple[float, float] = (-inf, inf)
    shape: float | None = None
    inverse: str | None = None
    reference: str = ""
    latex: str = ""
    is_slow: bool = False

    def __post_init__(self) -> None:
        where = f"SymbolicFunction {self.name!r}" if isinstance(self.name, str) else "SymbolicFunction"
        if not isinstance(self.name, str) or not self.name:
            raise SpecError(f"{where}: expected a name, got {self.name!r}.")
        for kind in ("torch", "sympy"):
            # As it was put in: asking for it would import SymPy.
            if not callable(vars(self)[kind]):
                raise SpecError(f"{where}: expected {kind} as a function, got {vars(self)[kind]!r}.")
        whole(where, "complexity", self.complexity, 0, error=SpecError)
        choice(where, "gauge", self.gauge, FREE)
        low, high = _ends(where, self.domain)
        if not low < high:
            raise SpecError(f"{where}: expected domain=(low, high) with low < high, got {self.domain!r}.")
        if self.shape is not None:
            number(where, "shape", self.shape, error=SpecError)
        for kind in ("inverse", "reference", "latex"):
            if not (isinstance(value := getattr(self, kind), str) or (kind == "inverse" and value is None)):
                raise SpecError(f"{where}: expected {kind} as text, got {value!r}.")
        flag(where, "is_slow", self.is_slow, error=SpecError)

    @property
    def free(self) -> str:
        """Letters of the affine numbers that are not redundant, `p` standing for the shape parameter."""
        return FREE[self.gauge] + ("p" if self.shape is not None else "")

    def __call__(self, u: Tensor, p: Tensor | float | None = None) -> Tensor:
        """Evaluates f(u), or f(u; p) where the row has a shape parameter."""
        if self.shape is None:
            return self.torch(u)
        if p is None:
            p = self.shape
        return self.torch(u, p if isinstance(p, Tensor) else torch.as_tensor(p, dtype=u.dtype, device=u.device))

    def symbol(self, u: Any, p: Any = None) -> Any:
        """Builds the SymPy expression f(u), or f(u; p)."""
        return self.sympy(u) if self.shape is None else self.sympy(u, self.shape if p is None else p)


def _ends(where: str, domain: Any) -> tuple[float, float]:
    # They may be infinite.
    ends = list(domain) if isinstance(domain, tuple | list) else []
    if len(ends) == 2 and all(is_number(end) or end in (inf, -inf) for end in ends):
        return float(ends[0]), float(ends[1])
    raise SpecError(f"{where}: expected domain=(low, high), numbers or infinity, got {domain!r}.")


# Rows name functions of SymPy, and whoever asks a row for one gets it.
SymbolicFunction.sympy = Found("sympy")  # type: ignore[assignment, method-assign]


def _power(u: Tensor, p: Tensor) -> Tensor:
    # d/dp u**p is u**p log u, which is not a number for u <= 0. The exponent is split into its value, for which torch
    # accepts negative bases of integer powers, and a zero whose derivative is guarded.
    value = u.pow(p.detach())
    if not (torch.is_grad_enabled() and p.requires_grad):
        return value
    log_u = torch.where(u > 0, u, torch.ones_like(u)).log()
    return value * torch.exp((p - p.detach()) * log_u)


def _rows() -> list[SymbolicFunction]:
    row = SymbolicFunction
    return [
        row("0", torch.zeros_like, lambda u: sympy.Integer(0), 0, "constant"),
        row("x", lambda u: u, lambda u: u, 1, "linear", inverse="x"),
        row("x^2", lambda u: u * u, lambda u: u**2, 2, "scale"),
        row("x^3", lambda u: u * u * u, lambda u: u**3, 3, "scale"),
        row("x^4", lambda u: (u * u) ** 2, lambda u: u**4, 4, "scale"),
        row("x^5", lambda u: (u * u) ** 2 * u, lambda u: u**5, 5, "scale"),
        row("1/x", lambda u: 1 / u, lambda u: 1 / u, 2, "scale", inverse="1/x"),
        row("1/x^2", lambda u: 1 / (u * u), lambda u: u**-2, 3, "scale", inverse="1/sqrt"),
        row("1/x^3", lambda u: 1 / (u * u * u), lambda u: u**-3, 4, "scale"),
        row("sqrt", torch.sqrt, sympy.sqrt, 2, "scale", (0, inf), inverse="x^2"),
        row("1/sqrt", torch.rsqrt, lambda u: 1 / sympy.sqrt(u), 3, "scale", (0, inf), inverse="1/x^2"),
        # The exponent counts as a number of its own. At 5, sines with four numbers beat 0.02 x^1.8 in noise of 1 %.
        row("power", _power, lambda u, p: u**p, 3, "scale", (0, inf), shape=1.5),
        row("exp", torch.exp, sympy.exp, 2, "shift", inverse="log", reference="4.2"),
        row("log", torch.log, sympy.log, 2, "scale", (0, inf), inverse="exp", reference="4.1"),
        row("abs", torch.abs, sympy.Abs, 3, "scale"),
        row("sign", torch.sign, sympy.sign, 3),
        row("sin", torch.sin, sympy.sin, 2, "periodic", inverse="asin", reference="4.3"),
        row("cos", torch.cos, sympy.cos, 2, "periodic", inverse="acos", reference="4.3"),
        row("tan", torch.tan, sympy.tan, 4, "affine", (-pi / 2, pi / 2), inverse="atan", reference="4.3"),
        row("asin", torch.asin, sympy.asin, 4, "affine", (-1, 1), inverse="sin", reference="4.4"),
        row("acos", torch.acos, sympy.acos, 4, "affine", (-1, 1), inverse="cos", reference="4.4"),
        row("atan", torch.atan, sympy.atan, 4, inverse="tan", reference="4.4"),
        row("sinh", torch.sinh, sympy.sinh, 3, inverse="asinh", reference="4.5"),
        row("cosh", torch.cosh, sympy.cosh, 3, inverse="acosh", reference="4.5"),
        row("tanh", torch.tanh, sympy.tanh, 3, inverse="atanh", reference="4.5"),
        row("asinh", torch.asinh, sympy.asinh, 4, inverse="sinh", reference="4.6"),
        row("acosh", torch.acosh, sympy.acosh, 4, "affine", (1, inf), inverse="cosh", reference="4.6"),
        row("atanh", torch.atanh, sympy.atanh, 4, "affine", (-1, 1), inverse="tanh", reference="4.6"),
        row("gaussian", lambda u: torch.exp(-u * u), lambda u: sympy.exp(-(u**2)), 3, reference="26.2"),
        row("sigmoid", torch.sigmoid, lambda u: 1 / (1 + sympy.exp(-u)), 3),
        row("erf", torch.erf, sympy.erf, 4, reference="7.1"),
        row("sqrt(1-x^2)", lambda u: torch.sqrt((1 - u) * (1 + u)), lambda u: sympy.sqrt(1 - u**2), 4, domain=(-1, 1)),
        row(
            "1/sqrt(1-x^2)",
            lambda u: torch.rsqrt((1 - u) * (1 + u)),
            lambda u: 1 / sympy.sqrt(1 - u**2),
            4,
            domain=(-1, 1),
            reference="Lorentz factor",
        ),
    ]


_TABLE: dict[str, SymbolicFunction] = {r.name: r for r in _rows()}
_ALIASES = {"identity": "x", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "ln": "log", "arctanh": "atanh"}

BUILT_IN: dict[str, SymbolicFunction] = dict(_TABLE)
"""The rows that come with the package, whatever is registered later."""

DEFAULT_LIBRARY: tuple[str, ...] = (
    *("x", "x^2", "x^3", "x^4", "1/x", "1/x^2", "sqrt", "1/sqrt", "power", "exp", "log", "abs", "sin", "tan"),
    *("asin", "atan", "sinh", "cosh", "tanh", "atanh", "gaussian", "sqrt(1-x^2)", "1/sqrt(1-x^2)"),
)
"""Names that symbolification tries when the caller gives no library."""


@named_options
def names() -> list[str]:
    """Returns the names of all rows."""
    return list(_TABLE)


@named_options
def get(name: str) -> SymbolicFunction:
    """Returns the row of this name.

    Raises:
        UnknownNameError: no such row; the message lists the closest names.

    Example:
        >>> get("sin").complexity
        2
    """
    try:
        return _TABLE[_ALIASES.get(name, name)]
    except (KeyError, TypeError):
        raise unknown_name("functions.get", "function", name, _TABLE) from None


@named_options
def register(function: SymbolicFunction, *, replace: bool = False) -> SymbolicFunction:
    """Adds a row to the table, so that edges, formulas and symbolification can use it.

    Args:
        function: the new row.
        replace: allow a row of the same name to be replaced.

    Raises:
        UnknownNameError: the name is taken and `replace` is False, or it is another name of a row.
        SpecError: torch knows no gradient of the function.

    Example:
        >>> row = register(SymbolicFunction("cube-root", lambda u: u.sign() * u.abs() ** (1 / 3), sympy.cbrt, 3))
        >>> get("cube-root") is row
        True
    """
    _check_row("functions.register", function)
    replace = flag("functions.register", "replace", replace, error=SpecError)
    if function.name in _TABLE and not replace and _TABLE[function.name] != function:
        raise UnknownNameError(
            f"functions.register: expected a new name, got {function.name!r}, which the table has. "
            "Choose another name or pass replace=True."
        )
    if function.name in _ALIASES:
        raise UnknownNameError(
            f"functions.register: expected a new name, got {function.name!r}, which stands for "
            f"{_ALIASES[function.name]!r}. Choose another name."
        )
    _check_gradient(function)
    if _TABLE.get(function.name) is not function:
        _replaced.append(function.name)
    _TABLE[function.name] = function
    return function


def withdraw(function: SymbolicFunction) -> None:
    """Takes back a row that was registered, if it still stands in the table."""
    if _TABLE.get(function.name) is function:
        del _TABLE[function.name]
        _replaced.append(function.name)


def add_built_in(rows: list[SymbolicFunction]) -> dict[str, SymbolicFunction]:
    """Adds rows of the package, whose gradients are tested, and returns them by name."""
    added = {row.name: row for row in rows}
    _TABLE.update(added)
    return added


_replaced: list[str] = []


@named_options
def revision() -> int:
    """Returns how often rows were registered: what was made of the table is up to date while this stays the same."""
    return len(_replaced)


@named_options
def inner_point(function: SymbolicFunction) -> float:
    """Returns a point inside the domain of a function."""
    _check_row("functions.inner_point", function)
    low, high = function.domain
    if low > -inf:
        return (low + high) / 2 if high < inf else low + 1
    return high - 1 if high < inf else 0.37


def _check_row(where: str, function: Any) -> None:
    if not isinstance(function, SymbolicFunction):
        raise SpecError(f"{where}: expected a SymbolicFunction, got {type(function).__name__}.")


def _check_gradient(function: SymbolicFunction) -> None:
    u = torch.tensor([inner_point(function)], dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        value = function(u)
    if not value.requires_grad or value.shape != u.shape:
        raise SpecError(
            f"functions.register: expected an elementwise function that torch can differentiate, got {function.name!r} "
            "without a gradient. Give its derivative: torch=kan2.functions.smooth(value, derivative), where value acts "
            "on NumPy arrays and derivative on tensors."
        )
