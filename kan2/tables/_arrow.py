"""pyarrow's functions on columns, imported when they are used."""

from importlib import import_module
from typing import Any


def kernels() -> Any:
    """Returns pyarrow.compute, whose functions come into being at its import, where no type checker sees them."""
    return import_module("pyarrow.compute")
