"""`kan2 compile`: from a formula to the network that computes it exactly."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from kan2.cli import _options as options
from kan2.cli._errors import DONE, Refusal

Formulas = Annotated[
    list[str],
    typer.Argument(metavar="FORMULA", help="In Python, calculator or LaTeX style; several for several outputs."),
]
Domain = Annotated[
    list[str] | None, typer.Option(metavar="NAME:LOW:HIGH", help="The interval of an input. May be repeated.")
]
Names = Annotated[
    list[str] | None, typer.Option("--inputs", "-i", metavar="NAMES", help="The inputs in their order, as a,b.")
]
Optimize = Annotated[
    str | None, typer.Option(metavar="depth|width|edges", help="What to make small among equal formulas.")
]


def compile_formula(
    formula: Formulas,
    inputs: Names = None,
    domain: Domain = None,
    optimize: Optimize = None,
    splines: Annotated[bool, typer.Option("--splines", help="Splines instead of functions, on the domain.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", readable=False, metavar="MODEL", help="Save the network.")
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
) -> int:
    """Compiles a formula into an exact network.

    It says how large that network is, and saves it.
    """
    from kan2.cli import _laws, _output
    from kan2.cli._words import counted

    _output.check_output(output, force)
    intervals = domain_of(domain)
    import kanpiler

    source = formula[0] if len(formula) == 1 else formula
    with as_typed():
        network = kanpiler.compile(
            source, options.names(inputs), intervals, edges="spline" if splines else "symbolic", optimize=optimize
        )
    size = kanpiler.report(network)
    formulas = None if splines else _laws.texts(network, None)
    if json:
        _output.echo_json(
            {
                "inputs": list(network.spec.inputs),
                "target": _laws.alone(list(network.spec.outputs)),
                "formula": None if formulas is None else _laws.alone(formulas),
                "width": network.width,
                "size": vars(size),
            }
        )
    else:
        if formulas is not None:
            typer.echo("\n".join(_laws.equations(network, formulas)))
        typer.echo(counted(str(size)))
    if output is not None:
        _output.write_at_once(output, network.save)
    if output is not None and not json:
        typer.echo(f"saved as {output}")
    return DONE


@contextmanager
def as_typed() -> Iterator[None]:
    """Says of formulas that cannot be compiled that what was typed is wrong, unless the compiler is."""
    from kan2.expressions.token import ExpressionError
    from kanpiler.errors import CompileError, VerificationError

    try:
        yield
    except VerificationError:
        raise
    except (CompileError, ExpressionError) as error:
        raise Refusal(str(error)) from error


def domain_of(texts: list[str] | None) -> dict[str, tuple[float, float]] | None:
    """Returns the intervals of the option --domain.

    Raises:
        Refusal: a text is no interval, or an input has two.
    """
    found: dict[str, tuple[float, float]] = {}
    for text in texts or ():
        name, _, ends = text.partition(":")
        try:
            low, high = map(float, ends.split(":"))
        except ValueError:
            raise Refusal(f"expected --domain NAME:LOW:HIGH, got {text!r}.") from None
        if not name or name in found:
            raise Refusal(f"expected one interval for each name, got {text!r}.")
        if not (low < high and math.isfinite(low) and math.isfinite(high)):
            raise Refusal(f"expected --domain NAME:LOW:HIGH with finite LOW < HIGH, got {text!r}.")
        found[name] = low, high
    return found or None
