"""`kan2 discover`: from a table to the formula behind it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kan2.cli import _options as options
from kan2.cli._errors import DONE, NO_LAW

if TYPE_CHECKING:
    from kan2.cli._data import Chosen
    from kan2.discovery.pareto import ParetoRow, ParetoTable
    from kan2.discovery.progress import Progress
    from kan2.multkan import MultKAN

SHOWN = 8  # rows of the front


def discover(
    data: options.Data,
    target: options.Target = None,
    inputs: options.Inputs = None,
    where: options.Where = None,
    drop_missing: options.DropMissing = False,
    augment: options.Augment = None,
    width: options.Width = None,
    library: options.Library = None,
    attempts: Annotated[int, typer.Option(min=1, help="Largest number of random starts.")] = 5,
    seconds: options.Seconds = None,
    seed: options.Seed = 0,
    output: Annotated[
        Path | None, typer.Option("-o", readable=False, metavar="MODEL", help="Save the network, as law.kan.")
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Finds the formula behind a table.

    Where none is found, the best approximation is printed and called that. Ctrl-C ends the search with the best so far.
    """
    from kan2.cli import _data, _output, _width
    from kan2.cli._progress import Ticker

    _output.check_output(output, force, inputs=[data])
    selection = _data.selection_of(data, target, inputs, where, drop_missing, augment)
    chosen = _data.choose(selection)
    samples = chosen.samples
    hidden = _width.layers(width, samples)
    for line in chosen.notes[: None if json else len(chosen.notes) - len(chosen.constants)]:
        _output.note(line, quiet)
    with Ticker(seconds, quiet) as ticker:
        from kan2._discover import discover as search

        model = search(
            samples,
            hidden,
            library=options.names(library),
            attempts=attempts,
            seed=seed,
            seconds=seconds,
            progress=lambda record: _tell(ticker, record, samples.outputs),
        )
    if json:
        _output.echo_json(_document(model, chosen))
    else:
        _show(model, chosen, quiet)
    # Last: what was found is on the screen, even where the disk is full by now.
    if output is not None:
        _output.write_at_once(output, model.save)
    return DONE if model.report.found else NO_LAW


def _tell(ticker: Any, record: "Progress", outputs: tuple[str, ...]) -> None:
    from kan2.cli._data import listed
    from kan2.cli._output import percent

    best = ""
    if record.error is not None:
        law = f"{listed(outputs)} ~ {record.formula}, " if record.formula else ""
        best = f"{law}off by {percent(record.error)}"
    share = (record.attempt - 1) / record.attempts
    ticker.now(f"attempt {record.attempt} of {record.attempts}: {record.message}  {best}", share)
    if record.message == "training":
        ticker.event(f"attempt {record.attempt} of {record.attempts}")
    if record.is_best:
        ticker.event(f"{record.message}: {best}")


def _formula_row(table: "ParetoTable") -> "ParetoRow | None":
    # Where the best network has splines: the formula that is worth its numbers most.
    rows = [row for row in table.front if row.model.is_formula]
    return min(rows, key=lambda row: row.criterion, default=None)


def _document(model: "MultKAN", chosen: "Chosen") -> dict[str, Any]:
    from kan2.cli import _laws
    from kan2.training.spread import rmse

    samples, report = chosen.samples, model.report
    shown, error = model, rmse(model, samples)
    if not model.is_formula and (row := _formula_row(report.pareto)) is not None:
        shown, error = row.model, row.rmse
    is_formula = shown.is_formula
    return {
        "found": bool(report.found),
        "target": _laws.alone(list(samples.outputs)),
        "inputs": list(samples.inputs),
        "augmented": dict(samples.auxiliary),
        "formula": _laws.alone(_laws.texts(shown, None)) if is_formula else None,
        "latex": _laws.alone(_laws.latex(shown, _laws.DIGITS)) if is_formula else None,
        "error": error,
        "units": {n: u for n, u in chosen.units.items() if n in (*samples.inputs, *samples.outputs)},
        "rows": len(samples),
        "interrupted": report.interrupted,
        "out_of_time": report.out_of_time,
        "front": [
            {"complexity": row.complexity, "error": row.rmse, "formula": _text(row)} for row in report.pareto.front
        ],
    }


def _text(row: "ParetoRow", digits: int | None = None) -> str | None:
    from kan2.cli import _laws

    return ", ".join(_laws.texts(row.model, digits)) if row.model.is_formula else None


def _show(model: "MultKAN", chosen: "Chosen", quiet: bool) -> None:
    from kan2.cli import _laws, screen
    from kan2.cli._data import listed
    from kan2.cli._output import note, percent
    from kan2.training.spread import rmse

    samples, report = chosen.samples, model.report
    shown, error = model, rmse(model, samples)
    if not model.is_formula and (row := _formula_row(report.pareto)) is not None:
        shown, error = row.model, row.rmse
    why = ", interrupted" * report.interrupted + ", out of time" * report.out_of_time
    about = f"off by {percent(error)} of the spread of {listed(samples.outputs)} on {len(samples)} rows{why}"
    if constants := chosen.constants:
        # No law is found where there is nothing to explain.
        known = _laws.equations(shown, _laws.texts(shown, _laws.DIGITS)) if shown.is_formula else []
        typer.echo("\n".join([*known, *constants]))
    elif report.found:
        formulas = _laws.equations(model, _laws.texts(model, _laws.DIGITS))
        typer.echo("\n".join(formulas))
        typer.echo(f"law found: {about}")
    elif shown.is_formula:
        formulas = _laws.equations(shown, _laws.texts(shown, _laws.DIGITS), "~")
        typer.echo("\n".join(formulas))
        typer.echo(f"no law found; the best approximation: {about}")
    else:
        typer.echo(f"no law found, and no formula: a network of splines is {about}")
    if quiet:
        return
    front = [row for row in report.pareto.front if row.model.is_formula]
    rows = [[str(row.complexity), percent(row.rmse), _text(row, 4) or ""] for row in front]
    if len(rows) > 1:
        if len(rows) > SHOWN:
            # The simplest and the most accurate are both worth reading; what lies between, less.
            rows = [*rows[: SHOWN // 2], *rows[-SHOWN // 2 :]]
        typer.echo()
        screen.show(["size", "error", "formula"], rows, right=("size", "error"))
    for name, unit in chosen.units.items():
        if name in (*samples.inputs, *samples.outputs):
            note(f"unit of {listed([name])}: {unit}")
