"""`kan2 formula`: the formula that a network computes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kan2.cli import _options as options
from kan2.cli._errors import DONE, NO_LAW, Refusal

if TYPE_CHECKING:
    from kan2.multkan import MultKAN


def formula(
    model: options.Model,
    data: options.OptionalData = None,
    target: options.Target = None,
    where: options.Where = None,
    drop_missing: options.DropMissing = False,
    library: options.Library = None,
    latex: Annotated[bool, typer.Option("--latex", help="Print LaTeX.")] = False,
    digits: Annotated[int | None, typer.Option(min=1, max=17, help="Digits of numbers; by default all.")] = None,
    seconds: options.Seconds = None,
    output: Annotated[
        Path | None, typer.Option("-o", readable=False, metavar="MODEL", help="Save the network of functions.")
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Prints the formula of a network.

    Where splines are left, functions are found for them on DATA, the table it was trained on.
    """
    from kan2.cli import _laws, _output
    from kan2.cli.predict import load

    if latex and json:
        raise Refusal("expected --latex or --json, got both. The document of --json has the LaTeX in it.")
    _output.check_output(output, force, inputs=[model, data])
    given = {"--target": target, "--where": where, "--drop-missing": drop_missing, "--library": library}
    if data is None and (useless := [option for option, value in given.items() if value]):
        raise Refusal(f"expected a table beside {useless[0]}, got none. Write kan2 formula MODEL DATA.")
    network = load(model)
    if network.is_formula and data is not None:
        _output.note(f"{model} is a formula already: {data} was not read", quiet)
    elif data is not None:
        network = _symbolified(network, data, target, where, drop_missing, options.names(library), seconds, quiet)
    n_splines = sum(edge.is_numeric for edge in network.spec.edges())
    if json:
        _output.echo_json(_document(network, n_splines, digits))
    elif n_splines == 0:
        shown = _laws.latex(network, digits) if latex else _laws.texts(network, digits)
        typer.echo("\n".join(_laws.equations(network, shown)))
    if n_splines:
        left = "a spline is" if n_splines == 1 else f"{n_splines} splines are"
        remedy = (
            "Give the table that it was trained on: kan2 formula MODEL DATA."
            if data is None
            else "Train it longer, or give more functions with --library."
        )
        _output.note(f"kan2: formula: no formula, {left} left. {remedy}")
    if output is not None:
        _output.write_at_once(output, network.save)
    return NO_LAW if n_splines else DONE


def samples_for(
    network: "MultKAN", data: str, target: list[str] | None, where: str | None, drop_missing: bool, quiet: bool
) -> Any:
    """Returns the samples of a table for a network, by the names of its inputs and outputs."""
    from kan2.cli import _data
    from kan2.cli._output import note

    chosen = _data.choose(
        _data.Selection(data, target or list(network.spec.outputs), list(network.spec.inputs), where, drop_missing)
    )
    for line in chosen.notes:
        note(line, quiet)
    return chosen.samples


def _symbolified(
    network: "MultKAN",
    data: str,
    target: list[str] | None,
    where: str | None,
    drop_missing: bool,
    library: list[str] | None,
    seconds: float | None,
    quiet: bool,
) -> "MultKAN":
    from kan2.cli._progress import Ticker
    from kan2.cli._words import counted
    from kan2.interrupts import time_limit

    samples = samples_for(network, data, target, where, drop_missing, quiet)
    with Ticker(seconds, quiet) as ticker, time_limit(seconds):
        ticker.now("looking for functions")
        found = network.auto_symbolic(samples, library=library)
        left = sum(edge.is_numeric for edge in found.spec.edges())
        ticker.event(counted(f"{left} splines left") if left else "a function for every edge")
    return found


def _document(network: "MultKAN", n_splines: int, digits: int | None) -> dict[str, Any]:
    from kan2.cli import _laws

    return {
        "inputs": list(network.spec.inputs),
        "target": _laws.alone(list(network.spec.outputs)),
        "formula": None if n_splines else _laws.alone(_laws.texts(network, digits)),
        "latex": None if n_splines else _laws.alone(_laws.latex(network, digits)),
        "splines": n_splines,
    }
