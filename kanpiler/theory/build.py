"""What users pass to `compile` for a theory, checked: parameters, unknown functions, columns.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.
"""

from collections.abc import Mapping
from typing import Any

from kanpiler.errors import CompileError
from kanpiler.parse import input_names
from kanpiler.theory.form import read_form
from kanpiler.theory.options import checked_parameters, checked_unknown
from kanpiler.theory.theory import Theory
from kanpiler.theory.units import with_units


def compile_theory(
    source: Any, inputs: Any, parameters: Any, unknown: Any, units: Any, verify: bool, seconds: float
) -> Theory:
    """Compiles a theory; see `kanpiler.compile`."""
    named = checked_parameters(parameters)
    functions = checked_unknown(unknown)
    given = None if inputs is None else input_names(inputs)
    if both := sorted(set(named) & set(given or ())):
        raise CompileError(
            f"compile: expected parameters that are no inputs, got {', '.join(both)} as both. Leave {both[0]} out of "
            "one."
        )
    if both := sorted(set(named) & set(functions)):
        raise CompileError(f"compile: expected different names, got {both[0]} as a parameter and as a function.")
    form = read_form(source, functions, (*named, *(given or ())))
    if lost := [name for name in named if name not in form.names]:
        raise CompileError(
            f"compile: expected parameters that occur in the formula, got {', '.join(lost)}, which do not. Its letters "
            f"are {', '.join(form.names) or 'none'}."
        )
    free = tuple(name for name in form.names if name not in named)
    if given is not None:
        if strange := [name for name in free if name not in given]:
            raise CompileError(
                f"compile: undeclared symbol{'s' * (len(strange) > 1)} {', '.join(map(repr, strange))}. Declared "
                f"inputs: {', '.join(given)}; parameters: {', '.join(named) or 'none'}."
            )
        columns = given
    else:
        columns = free or ("x",)
    if taken := [one.per for one in named.values() if one.per and one.per in columns]:
        raise CompileError(
            f"compile: expected a column of labels that is no input of the formula, got per={taken[0]!r}. Add a column."
        )
    numbers = tuple(named.values())
    if units is not None and not isinstance(units, Mapping):
        raise CompileError(
            f"compile: expected units as a mapping name -> unit, got {units!r}. Pass units={{'t': 's'}}."
        )
    if units or any(one.unit for one in numbers):
        numbers = with_units(form, columns, numbers, dict(units or {}))
    return Theory.of(form, columns, numbers, tuple(functions.values()), verify, seconds)
