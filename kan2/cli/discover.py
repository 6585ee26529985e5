"""`kan2 discover`: from a table to the formula behind it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from kan2.cli import _options as options
from kan2.cli._errors import DONE, NO_LAW, Refusal

if TYPE_CHECKING:
    from kan2.cli._data import Chosen
    from kan2.discovery.progress import Progress
    from kan2.laws.discovery import Discovery
    from kan2.laws.front.front import Row
    from kan2.laws.labels.law import LabelLaw

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
    guess: Annotated[
        list[str] | None,
        typer.Option(metavar="FORMULA", help='A formula with unknown constants: "a*x/(b + x)". May be repeated.'),
    ] = None,
    template: Annotated[
        list[str] | None,
        typer.Option(metavar="FORM", help='A form with unknown functions: "f(x, y)*exp(g(z))". May be repeated.'),
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="A constant that numbers may be, as G or g=9.81. May be repeated."),
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(
            metavar="headers", help="Only laws whose units agree: those in the headers, as `T [s]`, or --unit."
        ),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=UNIT", help="The unit of a column: T=s, v=m/s, n=1. May be repeated."),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="cross_entropy: the target holds two labels, also where these are numbers."),
    ] = None,
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
    selection = _data.selection_of(data, target, inputs, where, drop_missing, augment, labels=True)
    chosen = _data.choose(selection)
    samples = chosen.samples
    known = _units(units, unit, chosen)
    hidden = _width.layers(width, samples)
    for line in chosen.notes[: None if json else len(chosen.notes) - len(chosen.constants)]:
        _output.note(line, quiet)
    with Ticker(seconds, quiet) as ticker:
        from kan2._discover import discover as search

        law = search(
            samples,
            hidden,
            library=options.names(library),
            guesses=guess or None,
            templates=template or None,
            constants=_constants(constant),
            loss=loss,
            attempts=attempts,
            seed=seed,
            seconds=seconds,
            units=known,
            progress=lambda record: _tell(ticker, record, samples.outputs),
        )
    if json:
        _output.echo_json(_document(law, chosen))
    else:
        _show(law, chosen, quiet)
    # Last: what was found is on the screen, even where the disk is full by now.
    if output is not None:
        _output.write_at_once(output, law.model.save)
    return DONE if law.found else NO_LAW


def _constants(given: list[str] | None) -> Any:
    """Returns names, or names with values where these are given."""
    if not given:
        return None
    known = {}
    for one in given:
        name, sign, value = one.partition("=")
        if not sign:
            from kan2.expressions.named import value_of

            known[name.strip()] = value_of(name.strip())
            continue
        try:
            known[name.strip()] = float(value)
        except ValueError:
            raise Refusal(f"expected --constant as NAME or NAME=NUMBER, got {one!r}.") from None
    return known


def _units(kind: str | None, given: list[str] | None, chosen: "Chosen") -> dict[str, str] | None:
    """Returns the unit of each column, those that are named before those of the headers; None where none is asked for.

    Raises:
        Refusal: these are no names with units.
    """
    if kind is None and not given:
        return None
    if kind not in (None, "headers"):
        raise Refusal(f"expected --units headers, got {kind!r}. Name units of columns as --unit T=s --unit v=m/s.")
    found = dict(chosen.samples.units) if kind else {}
    for text in given or ():
        name, sign, unit = text.rpartition("=")
        if not sign or not name.strip():
            raise Refusal(
                f"expected a column and its unit, as --unit T=s, got {text!r}. --unit n=1 is a number without."
            )
        found[options.bare(name.strip())] = unit.strip()
    return found


def _tell(ticker: Any, record: "Progress", outputs: tuple[str, ...]) -> None:
    from kan2.cli._data import listed
    from kan2.cli._output import percent

    best = ""
    if record.error is not None:
        outputs = outputs if record.target is None else (record.target,)
        law = f"{listed(outputs)} ~ {record.formula}, " if record.formula else ""
        best = f"{law}off by {percent(record.error)}"
    if record.attempt:
        share = (record.attempt - 1) / record.attempts
        ticker.now(f"attempt {record.attempt} of {record.attempts}: {record.message}  {best}", share)
    else:
        ticker.now(f"{record.message}  {best}")
    if record.message == "training":
        ticker.event(f"attempt {record.attempt} of {record.attempts}")
    if record.is_best:
        ticker.event(f"{record.message}: {best}")


def _texts(row: "Row", digits: int | None) -> list[str]:
    from kan2.symbolic.formula import round_floats

    return [str(formula if digits is None else round_floats(formula, digits)) for formula in row.formulas]


def _document(law: "Discovery", chosen: "Chosen") -> dict[str, Any]:
    from kan2.cli import _laws

    samples, report = chosen.samples, law.report
    return {
        "found": bool(law.found),
        "target": _laws.alone(list(samples.outputs)),
        "inputs": list(samples.inputs),
        "augmented": dict(samples.auxiliary),
        **({"classes": list(law.data.classes)} if law.data.classes else {}),
        "formula": _laws.alone(_texts(law.row, None)),
        "latex": law.latex(digits=_laws.DIGITS),
        "error": law.row.error,
        "units": _known_units(law, chosen),
        "constants": [
            {"number": None if one.number is None else float(one.number), "unit": one.unit, "value": one.value}
            for one in law.constants
        ],
        "rows": len(samples),
        "interrupted": report.interrupted,
        "out_of_time": report.out_of_time,
        "evidence": list(law.evidence),
        "front": [
            {"complexity": row.complexity, "error": row.error, "formula": ", ".join(_texts(row, None))}
            for row in law.front
        ],
    }


def _known_units(law: "Discovery", chosen: "Chosen") -> dict[str, str]:
    names = (*chosen.samples.inputs, *chosen.samples.outputs)
    return {name: unit for name, unit in {**chosen.units, **law.units}.items() if name in names}


def _show(law: "Discovery", chosen: "Chosen", quiet: bool) -> None:
    from kan2.cli import _laws, screen
    from kan2.cli._data import listed
    from kan2.cli._output import note, percent

    samples, report = chosen.samples, law.report
    why = ", interrupted" * report.interrupted + ", out of time" * report.out_of_time
    texts, sign = _texts(law.row, _laws.DIGITS), "=" if law.found else "~"
    if law.data.classes:
        about = f"{percent(law.row.error)} of the deviance that the base rate leaves is left{why}"
        formulas = [f"{cast('LabelLaw', law).subject} {sign} {texts[0]}"]
    else:
        about = f"off by {percent(law.row.error)} of the spread of {listed(samples.outputs)} on rows kept aside{why}"
        formulas = _laws.equations(law, texts, sign)
    if constants := chosen.constants:
        # No law is found where there is nothing to explain.
        typer.echo("\n".join([*formulas, *constants]))
    elif law.found:
        typer.echo("\n".join(formulas))
        typer.echo(f"law found: {about}")
    else:
        typer.echo("\n".join(formulas))
        typer.echo(f"no law found; the best approximation: {about}")
    for constant in law.constants:
        typer.echo(str(constant))
    if quiet:
        return
    rows = [[str(row.complexity), percent(row.error), ", ".join(_texts(row, 4))] for row in law.front]
    if len(rows) > 1:
        if len(rows) > SHOWN:
            # The simplest and the most accurate are both worth reading; what lies between, less.
            rows = [*rows[: SHOWN // 2], *rows[-SHOWN // 2 :]]
        typer.echo()
        screen.show(["size", "error", "formula"], rows, right=("size", "error"))
    for name, unit in _known_units(law, chosen).items():
        note(f"unit of {listed([name])}: {unit}")
