"""Values of options, checked where they come in: before anything is trained, and with one kind of sentence.

Each check takes the name of the function that was called, the name of the option and its value, and returns the value
as a plain Python one. NumPy's numbers count as numbers; True and False do not, nor do numbers count as True and False.
`error` is the class of the refusal, that of the room whose option it is.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from math import inf, isfinite, log10
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from kan2.errors import DataError, Kan2Error, ShapeError, unknown_name

if TYPE_CHECKING:
    # Tables are read without it.
    import torch

Refusal = type[Kan2Error]
LARGEST_SEED = 2**63 - 1

# Sizes above these are slips, or fit into no memory: torch then fails with an overflow, or in the middle of its work.
LARGEST_SIZE = 10**9  # rows, draws, points; edges of a layer, which have about ten numbers each
LARGEST_LAYER = 10**6  # nodes of a layer, or factors of a product; an image of 224 x 224 in colours is 150,528 inputs


def is_whole(value: Any, low: float = -inf, high: float = inf) -> bool:
    """Tells whether a value is a whole number within bounds.

    Example:
        >>> is_whole(np.int64(3), low=1), is_whole(True), is_whole(2.0)
        (True, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and low <= int(value) <= high


def is_number(value: Any) -> bool:
    """Tells whether a value is a finite real number.

    Example:
        >>> is_number(np.float32(0.5)), is_number("0.5"), is_number(float("nan"))
        (True, False, False)
    """
    if not isinstance(value, Real) or isinstance(value, bool):
        return False
    try:
        return isfinite(float(value))
    except OverflowError:
        return False


def whole(
    where: str,
    name: str,
    value: Any,
    low: int = 1,
    high: float = inf,
    *,
    error: Refusal = DataError,
    remedy: str = "",
) -> int:
    """Returns a whole number between low and high.

    Example:
        >>> whole("get_fun", "n", 2.5, low=2)
        Traceback (most recent call last):
        kan2.errors.DataError: get_fun: expected n as a whole number >= 2, got 2.5.
    """
    if is_whole(value, low, high):
        return int(value)
    bounds = f" >= {low}" if high == inf else f" from {low} to {high}"
    raise error(f"{where}: expected {name} as a whole number{bounds}, got {_shown(value)}.{_then(remedy)}")


def size(
    where: str,
    name: str,
    value: Any,
    low: int = 1,
    high: int = LARGEST_SIZE,
    *,
    error: Refusal = DataError,
) -> int:
    """Returns a whole number that says how much of something is to be held in memory.

    Example:
        >>> size("get_fun", "n", 10**30, 2)
        Traceback (most recent call last):
        kan2.errors.DataError: get_fun: expected n as a whole number from 2 to 1,000,000,000, got 1e+30. Larger ones \
are taken for slips.
    """
    value = whole(where, name, value, low, error=error)
    if value <= high:
        return value
    raise error(
        f"{where}: expected {name} as a whole number from {low} to {high:,}, got {_shown(value)}. Larger ones are "
        "taken for slips."
    )


def number(
    where: str,
    name: str,
    value: Any,
    low: float = -inf,
    high: float = inf,
    *,
    above: bool = False,
    error: Refusal = DataError,
    remedy: str = "",
) -> float:
    """Returns a finite number between low and high; with `above`, low itself is refused.

    Example:
        >>> number("plot", "scale", -1, 0, above=True)
        Traceback (most recent call last):
        kan2.errors.DataError: plot: expected scale as a finite number > 0, got -1.
    """
    if is_number(value) and low <= float(value) <= high and not (above and float(value) == low):
        return float(value)
    sign = ">" if above else ">="
    bounds = "" if low == -inf else f" {sign} {low:g}"
    bounds += "" if high == inf else f"{' and' if bounds else ''} <= {high:g}"
    raise error(f"{where}: expected {name} as a finite number{bounds}, got {_shown(value)}.{_then(remedy)}")


def flag(where: str, name: str, value: Any, *, error: Refusal = DataError) -> bool:
    """Returns True or False.

    Example:
        >>> flag("plot", "ticks", "yes")
        Traceback (most recent call last):
        kan2.errors.DataError: plot: expected ticks as True or False, got 'yes'.
    """
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise error(f"{where}: expected {name} as True or False, got {_shown(value)}.")


def seed(where: str, value: Any, name: str = "seed", *, error: Refusal = DataError) -> int:
    """Returns the seed of a generator.

    Example:
        >>> seed("MultKAN", np.int32(7))
        7
    """
    if is_whole(value, 0, LARGEST_SEED):
        return int(value)
    raise error(
        f"{where}: expected {name} as a whole number from 0 to 2^63 - 1, got {_shown(value)}. The same number gives "
        "the same result."
    )


def choice(where: str, kind: str, value: Any, known: Iterable[str]) -> str:
    """Returns one of a few words.

    Raises:
        UnknownNameError: it is none of them.

    Example:
        >>> choice("perturb", "mode", "all", ["minimal", "all"])
        'all'
    """
    known = list(known)
    if isinstance(value, str) and value in known:
        return value
    raise unknown_name(where, kind, value, known)


def text(where: str, name: str, value: Any, *, error: Refusal = DataError) -> str:
    """Returns a text.

    Example:
        >>> text("plot", "title", 3)
        Traceback (most recent call last):
        kan2.errors.DataError: plot: expected title as text, got 3.
    """
    if isinstance(value, str):
        return value
    raise error(f"{where}: expected {name} as text, got {_shown(value)}.")


def listed(
    where: str, name: str, value: Any, what: str, example: str, *, in_order: bool = False, error: Refusal = DataError
) -> list[Any]:
    """Returns the members of a list, a tuple or an array of one axis; a text is one thing, and no list.

    Args:
        where: name of the function.
        name: of the option.
        value: what was given.
        what: what is listed, such as "names".
        example: how it is written, such as "['x', 'y']".
        in_order: whether the order decides, so that a set is refused: its order is chance.
        error: class of the refusal.

    Example:
        >>> listed("prune_input", "active", "x", "features", "['x']")
        Traceback (most recent call last):
        kan2.errors.DataError: prune_input: expected active as a list of features, got 'x'. Pass active=['x'].
    """
    if in_order and isinstance(value, Set):
        raise error(
            f"{where}: expected {name} as a list of {what}, whose order decides, got {_shown(value)}, a "
            f"{type(value).__name__}. Pass a list, such as {name}={example}."
        )
    is_list = isinstance(value, Sequence | set | frozenset | range) and not isinstance(value, str | bytes)
    if is_list or (isinstance(value, np.ndarray) and value.ndim > 0):
        return list(value)
    raise error(f"{where}: expected {name} as a list of {what}, got {_shown(value)}. Pass {name}={example}.")


def names(where: str, name: str, value: Any, n: int | None = None, *, error: Refusal = DataError) -> tuple[str, ...]:
    """Returns a list of names, n where that is given.

    Sets are refused, since their order is another one in every run, and with it that of the columns.

    Raises:
        ShapeError: there are not n.

    Example:
        >>> names("plot", "in_vars", ["a", "b"], 2)
        ('a', 'b')
    """
    members = listed(where, name, value, "names", _example(value), in_order=True, error=error)
    for member in members:
        if not isinstance(member, str):
            raise error(f"{where}: expected {name} as a list of names, got {_shown(member)} in it. Pass text.")
    if n is not None and len(members) != n:
        raise ShapeError(f"{where}: expected {n} {name}, got {len(members)}: {', '.join(members)}.")
    return tuple(map(str, members))


def interval(where: str, name: str, value: Any, *, error: Refusal = DataError) -> tuple[float, float]:
    """Returns the ends of an interval, low < high.

    Example:
        >>> interval("MultKAN", "grid_range", (0, 1))
        (0.0, 1.0)
    """
    ends = list(value) if isinstance(value, Sequence | np.ndarray) and np.ndim(value) == 1 else []
    if len(ends) == 2 and all(map(is_number, ends)) and float(ends[0]) < float(ends[1]):
        return float(ends[0]), float(ends[1])
    raise error(f"{where}: expected {name}=(low, high) of finite numbers with low < high, got {_shown(value)}.")


def definitions(where: str, value: Any, *, error: Refusal = DataError) -> dict[str, str]:
    """Returns the definitions of auxiliary variables, name -> formula.

    Example:
        >>> definitions("augment", {"beta": "v/c"})
        {'beta': 'v/c'}
    """
    if not isinstance(value, Mapping):
        raise error(
            f"{where}: expected definitions as a dict of names to formulas, got {_shown(value)}. "
            "Pass {'beta': 'v/c'}."
        )
    for name, formula in value.items():
        if not (isinstance(name, str) and name and isinstance(formula, str)):
            raise error(
                f"{where}: expected names and formulas as text, got {_shown(name)}: {_shown(formula)}. "
                "Pass {'beta': 'v/c'}."
            )
    return dict(value)


def callables(where: str, name: str, value: Any, *, error: Refusal = DataError) -> tuple[Callable[..., Any], ...]:
    """Returns a list of functions.

    Example:
        >>> callables("fit", "callbacks", 3)
        Traceback (most recent call last):
        kan2.errors.DataError: fit: expected callbacks as a list of functions, got 3. Pass callbacks=[function].
    """
    members = listed(where, name, value, "functions", "[function]", error=error)
    for member in members:
        if not callable(member):
            raise error(f"{where}: expected {name} as a list of functions, got {_shown(member)} in it.")
    return tuple(members)


def path(where: str, name: str, value: Any, *, error: Refusal = DataError) -> str:
    """Returns the path of a file as text.

    Example:
        >>> path("fit", "checkpoint", "run.pt")
        'run.pt'
    """
    found = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if isinstance(found, str) and found:
        return found
    raise error(f"{where}: expected {name} as the path of a file, got {_shown(value)}.")


def network(where: str, model: Any, *, error: Refusal = DataError) -> None:
    """Refuses what is no network.

    Example:
        >>> network("fit", "model.pt")
        Traceback (most recent call last):
        kan2.errors.DataError: fit: expected a network, such as a MultKAN, got 'model.pt'.
    """
    if isinstance(model, type) or not (hasattr(model, "spec") and hasattr(model, "layers")):
        raise error(f"{where}: expected a network, such as a MultKAN, got {_shown(model)}.")


def dtype(where: str, value: Any, *, error: Refusal = DataError) -> "torch.dtype":
    """Returns a floating-point type of torch.

    Example:
        >>> dtype("MultKAN", "float64")
        Traceback (most recent call last):
        kan2.errors.DataError: MultKAN: expected dtype as torch.float64 or torch.float32, got 'float64'.
    """
    import torch

    if isinstance(value, torch.dtype) and value.is_floating_point:
        return value
    raise error(f"{where}: expected dtype as torch.float64 or torch.float32, got {_shown(value)}.")


def device(where: str, value: Any, *, error: Refusal = DataError) -> "torch.device | None":
    """Returns a device that is there; None for None.

    Example:
        >>> device("MultKAN", "cpu")
        device(type='cpu')
    """
    import torch

    if value is None:
        return None
    try:
        if is_whole(value, 0):
            value = f"cuda:{int(value)}"  # as torch reads a number
        if not isinstance(value, str | torch.device):
            raise TypeError("neither text nor a torch.device")
        found = torch.device(value)
        torch.empty(0, device=found)
    # What torch raises depends on what it was built with: AssertionError where it has no CUDA at all.
    except (RuntimeError, TypeError, AssertionError, NotImplementedError, ValueError) as problem:
        first = str(problem).splitlines()[0]
        raise error(
            f"{where}: expected a device that torch can use here, got {_shown(value)} ({first}). Pass device='cpu', or "
            "leave it out."
        ) from None
    return found


def _example(value: Any) -> str:
    # The members of a set as a list; of a view of a dict in the order of the dict.
    if not isinstance(value, Set) or not 1 <= len(value) <= 5 or not all(isinstance(name, str) for name in value):
        return "['a', 'b']"
    return str(sorted(value) if isinstance(value, set | frozenset) else list(value))


def _shown(value: Any) -> str:
    if isinstance(value, Integral) and not isinstance(value, bool | np.bool_) and abs(int(value)) >= 10**20:
        # Python refuses to write more than some thousand digits.
        return f"{'-' if value < 0 else ''}{_power(abs(int(value)))}"
    # Arrays and networks are long.
    shown = repr(value)
    return shown if len(shown) <= 80 and "\n" not in shown else f"an object of type {type(value).__name__}"


def _power(value: int) -> str:
    exponent = int(log10(value))
    return f"{10 ** (log10(value) - exponent):.3g}e+{exponent}"


def _then(remedy: str) -> str:
    return f" {remedy}" if remedy else ""
