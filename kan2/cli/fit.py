"""`kan2 fit`: a network of splines for a table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kan2.cli import _options as options
from kan2.cli._errors import DONE

if TYPE_CHECKING:
    from kan2.core.data import Dataset
    from kan2.multkan import MultKAN


def fit(
    data: options.Data,
    output: Annotated[
        Path, typer.Option("-o", readable=False, metavar="MODEL", help="Where the network goes, as model.kan.")
    ],
    target: options.Target = None,
    inputs: options.Inputs = None,
    where: options.Where = None,
    drop_missing: options.DropMissing = False,
    augment: options.Augment = None,
    width: options.Width = None,
    grid: Annotated[int, typer.Option(min=1, help="Grid intervals of the splines.")] = 5,
    steps: Annotated[int, typer.Option(min=0, help="Largest number of training steps.")] = 200,
    seconds: options.Seconds = None,
    held_out: Annotated[
        float,
        typer.Option(
            "--held-out", min=0.0, max=0.9, help="Share of the rows to measure the error on.", callback=options.finite
        ),
    ] = 0.2,
    restarts: Annotated[int, typer.Option(min=1, help="Number of random starts.")] = 1,
    seed: options.Seed = 0,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Trains a network on a table and saves it.

    By default it has one hidden layer of 2 n + 1 sums for n inputs. Ctrl-C saves the best so far.
    """
    from kan2.cli import _data, _output, _width
    from kan2.cli._progress import Ticker
    from kan2.cli._words import counted

    _output.check_output(output, force, inputs=[data])
    chosen = _data.choose(_data.selection_of(data, target, inputs, where, drop_missing, augment))
    samples = _data.held_out(chosen.samples, held_out, seed)
    hidden = _width.layers(width, samples, default=[2 * len(samples.feature_names) + 1])
    assert hidden is not None
    for line in chosen.notes:
        _output.note(line, quiet)
    with Ticker(seconds, quiet) as ticker:
        from kan2.multkan import MultKAN

        model = MultKAN(hidden, grid=grid, seed=seed, inputs=samples.inputs if not samples.auxiliary else ())

        def tell(_: Any, history: Any) -> None:
            ticker.now(f"step {len(history) - 1} of {steps}, error {history.rmse:.3g}")

        history = model.fit(
            samples, steps=steps, seconds=seconds, restarts=restarts, seed=seed, callbacks=(tell,) if not quiet else ()
        )
        ticker.event(counted(f"{len(history) - 1} steps: {history.message}"))
    _output.write_at_once(output, model.save)
    errors = {"training": _errors(model, samples.X, samples.y)}
    if samples.X_test is not None:
        errors["held out"] = _errors(model, samples.X_test, samples.y_test)
    if json:
        _output.echo_json(_document(model, samples, errors, history, output))
    else:
        _show(model, samples, errors, output)
    return DONE


def _errors(model: "MultKAN", x: Any, y: Any) -> dict[str, dict[str, float | int]]:
    # Of each output: root mean square, in its unit and as a share of its spread.
    import torch

    with torch.no_grad():
        left = (model(x.to(model.like)) - y.to(model.like)).double()
    size, spread = left.square().mean(0).sqrt(), y.double().std(0, unbiased=False)
    return {
        name: {"rows": len(x), "rmse": float(a), "spread": float(b), "share": float(a / b) if b else float("nan")}
        for name, a, b in zip(model.spec.outputs, size, spread)
    }


def _document(model: "MultKAN", samples: "Dataset", errors: Any, history: Any, output: Path) -> dict[str, Any]:
    from kan2.cli import _laws

    return {
        "model": str(output),
        "inputs": list(samples.inputs),
        "target": _laws.alone(list(samples.outputs)),
        "width": model.width,
        "errors": errors,
        "steps": len(history) - 1,
        "seconds": history.seconds,
        "message": history.message,
    }


def _show(model: "MultKAN", samples: "Dataset", errors: Any, output: Path) -> None:
    from kan2.cli import screen
    from kan2.cli._data import listed
    from kan2.cli._output import percent

    rows = [
        [where, name, str(row["rows"]), f"{row['rmse']:.3g}", percent(row["share"]) if row["spread"] else ""]
        for where, part in errors.items()
        for name, row in part.items()
    ]
    columns = ["rows of", "output", "rows", "root mean square error", "share of the spread"]
    screen.show(columns, rows, right=columns[2:])
    typer.echo(f"{listed(samples.inputs)} -> {listed(samples.outputs)}, saved as {output}")
