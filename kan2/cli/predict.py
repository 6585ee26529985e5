"""`kan2 predict`: what a network says about new rows."""

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kan2.cli import _options as options
from kan2.cli._errors import DONE

if TYPE_CHECKING:
    from kan2.multkan import MultKAN


def predict(
    model: options.Model,
    data: options.Data,
    where: options.Where = None,
    alone: Annotated[bool, typer.Option("--alone", help="Write the predictions without the inputs.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", readable=False, metavar="FILE", help="Where to write; by default stdout.")
    ] = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> int:
    """Writes the predictions of a network as CSV.

    The columns it reads come first, then what it predicts, named as the target.
    Rows without a value in a column that it reads get no prediction.
    """
    from kan2.cli._output import check_output, note, write_at_once

    check_output(output, force)
    network = load(model)
    names, x = inputs_of(network, data, where)
    y = _predicted(network, x)
    if n_empty := sum(any(value != value for value in row) for row in y):
        note(f"{n_empty} of {len(y)} rows have no prediction: a value is missing, or the network is not finite", quiet)
    text = _csv([*([] if alone else names), *network.spec.outputs], [] if alone else x, y)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_at_once(output, lambda path: path.write_text(text, encoding="utf-8", newline=""))
    return DONE


def load(path: Path) -> "MultKAN":
    """Reads a network.

    Raises:
        FileNotFoundError: no such file.
        SerializationError: the file is no network.
    """
    from kan2.multkan import MultKAN

    if path.is_dir():
        raise IsADirectoryError(21, "expected the file of a network, got a folder", str(path))
    return MultKAN.load(path)


def inputs_of(network: "MultKAN", source: str, where: str | None) -> tuple[list[str], Any]:
    """Returns the names and the (row, input) values of the columns that a network reads.

    Raises:
        UnknownNameError: a column is missing.
    """
    import numpy as np

    from kan2.cli._data import rows
    from kan2.cli._table import read_source
    from kan2.errors import unknown_name

    table = read_source(source).table
    table = table if where is None else rows(table, where)
    names = list(network.spec.inputs)
    for name in names:
        if name not in table.columns:
            raise unknown_name("predict", "column", name, table.columns)
    return names, np.stack([table[name] for name in names], 1)


def _predicted(network: "MultKAN", x: Any) -> Any:
    import numpy as np
    import torch

    known = np.isfinite(x).all(1)
    y = np.full((len(x), len(network.spec.outputs)), np.nan)
    if known.any():
        with torch.no_grad():
            y[known] = network(torch.from_numpy(x[known]).to(network.like)).double().numpy()
    y[~np.isfinite(y)] = np.nan
    return y.tolist()


def _csv(columns: list[str], x: Any, y: Any) -> str:
    # The shortest text that reads as the same number; nothing where there is none.
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    left = x.tolist() if len(x) else [[] for _ in y]
    writer.writerows(["" if v != v else repr(v) for v in [*a, *b]] for a, b in zip(left, y))
    return text.getvalue()
