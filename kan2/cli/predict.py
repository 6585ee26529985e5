"""`kan2 predict`: what a network says about new rows."""

import csv
import io
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kan2.cli import _options as options
from kan2.cli._errors import DONE, Refusal

if TYPE_CHECKING:
    from kan2.multkan import MultKAN


@dataclass(frozen=True)
class Read:
    """The columns of a table that a network reads.

    Attributes:
        names: of the columns.
        x: (row, input) values.
        units: of the columns, where the table has them.
    """

    names: list[str]
    x: Any
    units: dict[str, str]


def predict(
    model: options.Model,
    data: options.Data,
    where: options.Where = None,
    alone: Annotated[bool, typer.Option("--alone", help="Write the predictions without the inputs.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", readable=False, metavar="FILE", help="Where to write, .csv, .tsv or .txt; else to stdout."),
    ] = None,
    force: options.Force = False,
    quiet: options.Quiet = False,
) -> int:
    """Writes the predictions of a network as CSV.

    The columns it reads come first, with their units, then what it predicts, named as the target.
    Rows without a value in a column that it reads get no prediction.
    """
    from kan2.cli._output import TABLES, check_output, note, write_at_once
    from kan2.cli._table import with_unit

    check_output(output, force, TABLES, [model, data])
    network = load(model)
    read = inputs_of(network, data, where)
    y = _predicted(network, read.x)
    if n_empty := sum(any(value != value for value in row) for row in y):
        why = "a value is missing, or the network is not finite"
        note(f"{n_empty} of {len(y)} {_rows(y)} {'has' if n_empty == 1 else 'have'} no prediction: {why}", quiet)
    if n_outside := _outside(network, read.x):
        why = "outside the range that the network was trained on: there it goes on along straight lines"
        note(f"{n_outside} of {len(y)} {_rows(y)} {'is' if n_outside == 1 else 'are'} {why}", quiet)
    headers = [with_unit(name, read.units.get(name)) for name in read.names]
    delimiter = "\t" if output is not None and output.suffix.lower() == ".tsv" else ","
    columns = [*([] if alone else headers), *network.spec.outputs]
    text = _csv(columns, [] if alone else read.x, y, delimiter)
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_at_once(output, lambda path: path.write_text(text, encoding="utf-8", newline=""))
    return DONE


def load(path: Path) -> "MultKAN":
    """Reads a network.

    Raises:
        Refusal: no such file, or it is a table.
        SerializationError: the file is no network, or damaged.
    """
    from kan2.cli._complete import DATA
    from kan2.cli._table import is_model

    if path.is_dir():
        raise IsADirectoryError(21, "expected the file of a network, got a folder", str(path))
    if not path.exists():
        raise Refusal(f"no such file: {str(path)!r}.{_similar(path)}")
    if path.suffix.lower() in DATA and not is_model(path):
        raise Refusal(f"expected a network, got {str(path)!r}, which is a table. {_ORDER}")
    from kan2._load import load as read

    return read(path)


_ORDER = "A network is what discover, fit and compile save with -o; it stands before the table."


def _similar(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir() if entry.is_file()]
    except OSError:
        return " Look at the path."
    close = get_close_matches(path.name, names, n=2, cutoff=0.6)
    if not close:
        return " Look at the path."
    return f" Did you mean {' or '.join(repr(str(path.parent / name)) for name in close)}?"


def inputs_of(network: "MultKAN", source: str, where: str | None) -> Read:
    """Returns the columns that a network reads.

    Raises:
        UnknownNameError: a column is missing.
    """
    import numpy as np

    from kan2.cli._data import listed, rows
    from kan2.cli._table import read_source
    from kan2.errors import UnknownNameError

    table = read_source(source).table
    names = list(network.spec.inputs)
    if missing := [name for name in names if name not in table.columns]:
        close = get_close_matches(missing[0], table.columns, n=1, cutoff=0.7)
        hint = f" Rename {close[0]!r}, if it is that." if close else ""
        raise UnknownNameError(
            f"the network reads {' and '.join(map(repr, missing))}, which {source} does not have.{hint} "
            f"Columns: {listed(table.columns)}."
        )
    table = table if where is None else rows(table, where)
    units = {name: table.units[name] for name in names if name in table.units}
    return Read(names, np.stack([table[name] for name in names], 1), units)


def _rows(y: Any) -> str:
    return "row" if len(y) == 1 else "rows"


def _outside(network: "MultKAN", x: Any) -> int:
    # The splines of the first layer know the range of what they were trained on; functions know none.
    import numpy as np

    edges = [edge for edge in network.spec.edges() if edge.layer == 0 and edge.is_numeric]
    if network.spec.auxiliary or not edges:
        return 0
    outside = np.zeros(len(x), dtype=bool)
    for source in {edge.source for edge in edges}:
        edge = next(edge for edge in edges if edge.source == source)
        low, high, _, _ = network.get_range(edge.index)
        slack = 1e-9 * (high - low)
        outside |= (x[:, source] < low - slack) | (x[:, source] > high + slack)
    return int(outside.sum())


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


def _csv(columns: list[str], x: Any, y: Any, delimiter: str) -> str:
    # The shortest text that reads as the same number; nothing where there is none.
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", delimiter=delimiter)
    writer.writerow(columns)
    left = x.tolist() if len(x) else [[] for _ in y]
    writer.writerows(["" if v != v else repr(v) for v in [*a, *b]] for a, b in zip(left, y))
    return text.getvalue()
