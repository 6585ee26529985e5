"""The front door of every public function: options by their right names, tables as a whole with `target=`.

Reference: https://docs.python.org/3/library/inspect.html
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from kan2.errors import unknown_options

F = TypeVar("F", bound=Callable[..., Any])


def verb(function: F) -> F:
    """Puts the door before a function: unknown options are refused at once, with the closest names there are.

    Of a function (model, ..., data, ..., target) the door also reads tables: `data` may be a frame or the path of a
    file, `target` the names of its columns of targets; the function itself gets samples in the usual forms and no
    target.

    Example:
        >>> @verb
        ... def shift(x, *, by=1):
        ...     return x + by
        >>> shift(1, bye=2)
        Traceback (most recent call last):
            ...
        kan2.errors.OptionError: shift: unknown option 'bye'. Did you mean 'by'? Known: x, by.
    """
    signature = inspect.signature(function)
    parameters = signature.parameters
    names = frozenset(parameters)
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    reads_tables = {"model", "data", "target"} <= names
    place = list(parameters).index("data") if reads_tables else 0
    title = function.__name__

    @wraps(function)
    def door(*args: Any, **options: Any) -> Any:
        if not is_open and not options.keys() <= names:
            raise unknown_options(title, options, [name for name in parameters if name != "model"])
        if reads_tables:
            target = options.pop("target", None)
            model = args[0] if args else options["model"]
            if len(args) > place:
                data = model.given(args[place], title, target)
                args = (*args[:place], data, *args[place + 1 :])
            elif target is not None or options.get("data") is not None:
                options["data"] = model.given(options.get("data"), title, target)
        return function(*args, **options)

    return door  # type: ignore[return-value]
