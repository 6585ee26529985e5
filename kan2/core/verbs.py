"""The front door of functions of a network and data: tables as a whole, with `target=`, beside the usual forms."""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

from kan2 import options as checks
from kan2.errors import named_options

F = TypeVar("F", bound=Callable[..., Any])


def verb(function: F) -> F:
    """Lets a function (model, ..., data, ..., target) read tables, and refuses options that it does not have.

    `data` may be a frame or the path of a file, and `target` the names of its columns of targets; the function itself
    gets samples in the usual forms, see `Network.given`, and no target. What is no network is refused first.
    """
    parameters = list(signature(function).parameters)
    place, first = parameters.index("data"), parameters[0]
    inner, title = named_options(function), function.__name__

    @wraps(function)
    def door(*args: Any, **options: Any) -> Any:
        target = options.pop("target", None)
        model: Any = args[0] if args else options.get(first)
        has_data = len(args) > place or options.get("data") is not None or target is not None
        if not has_data or (not args and first not in options):  # what else is wrong, the function itself says
            return inner(*args, **options)
        checks.network(title, model)
        if len(args) > place:
            data = model.given(args[place], title, target)
            args = (*args[:place], data, *args[place + 1 :])
        else:
            options["data"] = model.given(options.get("data"), title, target)
        return inner(*args, **options)

    return door  # type: ignore[return-value]
