"""Modules that the table names and that are imported when a function of them is called first.

SymPy takes longer to import than this package, and a network that is only evaluated needs neither it nor SciPy.
"""

from collections.abc import Callable
from functools import cached_property
from importlib import import_module
from typing import Any


class Later:
    """Stands for a module: its attributes are functions, found when they are called.

    Example:
        >>> Later("math").hypot(3, 4)
        5.0
    """

    def __init__(self, module: str) -> None:
        self._module = module

    def __getattr__(self, name: str) -> "LaterFunction":
        if name.startswith("__"):
            raise AttributeError(name)
        return LaterFunction(self._module, name)


class LaterFunction:
    """Stands for a function of a module."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    @cached_property
    def found(self) -> Callable[..., Any]:
        """The function itself, which imports its module."""
        return getattr(import_module(self._module), self._name)

    def __call__(self, *values: Any, **options: Any) -> Any:
        return self.found(*values, **options)


class Found:
    """A field of a frozen dataclass that hands out the function where a `LaterFunction` was put in."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, row: Any, owner: type | None = None) -> Any:
        if row is None:
            raise AttributeError(self.name)  # as of a field without default
        value = vars(row)[self.name]
        return value.found if isinstance(value, LaterFunction) else value

    def __set__(self, row: Any, value: Any) -> None:
        vars(row)[self.name] = value
