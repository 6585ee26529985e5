"""Functions of users that a file brings along: described as rows of JSON, checked, registered only for good files.

Reference: `kan2.functions.SymbolicFunction`, whose fields the rows hold.
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from math import inf
from typing import Any

import sympy

from kan2 import functions
from kan2.core.strict_json import (
    flag,
    integer,
    list_of,
    nullable,
    number,
    one_of,
    read_json,
    record,
    string,
    wrong,
)
from kan2.errors import Kan2Error, SerializationError
from kan2.functions import SymbolicFunction
from kan2.functions.table import withdraw
from kan2.serialize.formula import Formula, SymPyFormula

_LOCK = threading.Lock()

# What is wanted to read the formula comes first: what is wrong there tells most.
_formula = {"name": string, "sympy": string, "shape": nullable(number), "domain": list_of(nullable(number), length=2)}
_row = record(
    {
        **_formula,
        "complexity": integer(0, 1_000_000),
        "gauge": one_of(*functions.FREE),
        "inverse": nullable(string),
        "reference": string,
    },
    {"latex": string, "is_slow": flag},
)


def is_built_in(row: SymbolicFunction) -> bool:
    """Says whether a row is one that the package brings."""
    return functions.BUILT_IN.get(row.name) is row


def describe(row: SymbolicFunction, known: Collection[str]) -> dict[str, Any]:
    """Returns a row as a file holds it.

    Args:
        row: a row of the table.
        known: names of other functions that the reader will know; an inverse that is none of them is left out.

    Raises:
        SerializationError: it cannot be written as a formula of elementary functions.
    """
    if isinstance(row.sympy, SymPyFormula):
        text = row.sympy.text
    else:
        text = str(row.symbol(sympy.Symbol("x"), sympy.Symbol("p")))
        try:
            Formula(text, _variables(row.shape))
        except Kan2Error as error:
            raise SerializationError(
                f"save: expected functions that can be written as formulas of elementary functions, got {row.name!r} "
                f"with the SymPy form {text[:200]}. Keep the network in memory, or pickle it and register the function "
                "when reading."
            ) from error
    return {
        "name": row.name, "sympy": text, "complexity": row.complexity, "gauge": row.gauge,
        "domain": tuple(None if abs(end) == inf else end for end in row.domain), "shape": row.shape,
        "inverse": row.inverse if row.inverse in known or row.inverse == row.name else None,
        "reference": row.reference, "latex": row.latex, "is_slow": row.is_slow,
    }  # fmt: skip


def read_rows(text: str, is_old: bool) -> list[SymbolicFunction]:
    """Returns the functions that a file brings and the table lacks; nothing is registered.

    Args:
        text: JSON of the rows that `describe` made.
        is_old: whether inverses that nobody knows are left out, instead of refused.

    Raises:
        JSONError: the text holds something else.
        SerializationError: a formula cannot be read, or the table has another function of this name.
    """
    rows = list_of(_check)(read_json(text))
    names = [row["name"] for row in rows]
    if len(set(names)) < len(names):
        raise SerializationError("two functions of one name.")
    found = []
    for row in rows:
        if row["inverse"] not in (None, *names, *functions.names()):
            if not is_old:
                raise SerializationError(f"the function {row['name']!r} with the unknown inverse {row['inverse']!r}.")
            row["inverse"] = None
        if row["name"] not in functions.names():
            found.append(_restore(row))
            continue
        present = functions.get(row["name"])
        if is_built_in(present):
            raise SerializationError(
                f"a function {row['name']!r} of its own, whose name belongs to one of the package."
            )
        if any(describe(present, ())[key] != row[key] for key in ("sympy", "shape", "domain")):
            raise SerializationError(
                f"the function {row['name']!r} = {row['sympy'][:80]}, but another one of this name is registered. "
                "Read the file in another session, or register its function with replace=True before."
            )
    return found


def _check(row: Any) -> dict[str, Any]:
    if isinstance(row, dict) and set(_formula) <= set(row):
        start = record(_formula)({key: row[key] for key in _formula})
        try:
            Formula(start["sympy"], _variables(start["shape"]))
        except SerializationError as error:
            raise SerializationError(f"the function {start['name'][:80]!r}: {error}") from error
    found = _row(row)
    low, high = (end if end is not None else fill for end, fill in zip(found["domain"], (-inf, inf)))
    if not found["name"] or not low < high:
        raise wrong("a name and a domain [low, high]", [found["name"], found["domain"]])
    return {"latex": "", "is_slow": False, **found}


def _variables(shape: float | None) -> list[str]:
    return ["x"] if shape is None else ["x", "p"]


def _restore(row: dict[str, Any]) -> SymbolicFunction:
    text, variables = row.pop("sympy"), _variables(row["shape"])
    low, high = row.pop("domain")
    domain = (-inf if low is None else low, inf if high is None else high)
    return SymbolicFunction(torch=Formula(text, variables), sympy=SymPyFormula(text, variables), domain=domain, **row)


@contextmanager
def registered(rows: Sequence[SymbolicFunction]) -> Iterator[None]:
    """Registers functions for what is done inside; where that fails, they are taken back.

    Raises:
        SerializationError: a function cannot be registered, for instance because it has no gradient.
    """
    with _LOCK:
        added = []
        try:
            for row in rows:
                if row.name in functions.names():  # another thread read the same file meanwhile
                    read_again = describe(functions.get(row.name), ())
                    if read_again["sympy"] == describe(row, ())["sympy"]:
                        continue
                try:
                    added.append(functions.register(row))
                except (Kan2Error, RuntimeError, ArithmeticError) as error:
                    raise SerializationError(f"the function {row.name!r}: {error}") from error
            yield
        except BaseException:
            for row in added:
                withdraw(row)
            raise
