"""`kan2 info`: what is in a file."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kan2.cli import _options as options
from kan2.cli._complete import MODELS, data_files, model_files
from kan2.cli._errors import DONE

if TYPE_CHECKING:
    from kan2.cli._table import Source
    from kan2.multkan import MultKAN
    from kan2.tables.table import Table


def _sources(incomplete: str) -> list[str]:
    return sorted({*data_files(incomplete), *model_files(incomplete)})


def info(
    source: Annotated[
        str,
        typer.Argument(metavar="MODEL|DATA", help="A network, or a table.", autocompletion=_sources),
    ],
    json: options.Json = False,
) -> int:
    """Describes the file of a network, or a table.

    Of a table the columns, with their units, ranges and missing values.
    """
    from kan2.cli._table import is_model

    if is_model(source) or source.lower().endswith(MODELS):
        from kan2.cli.predict import load

        _network(load(Path(source)), source, json)
    else:
        from kan2.cli._table import read_source

        describe(read_source(source), source, json)
    return DONE


def _network(network: "MultKAN", source: str, json: bool) -> None:
    from kan2.cli import _laws, screen
    from kan2.cli._data import listed
    from kan2.cli._output import echo_json
    from kan2.cli._words import counted

    spec = network.spec
    edges = list(spec.edges())
    facts: dict[str, Any] = {
        "inputs": list(spec.inputs),
        "target": list(spec.outputs),
        "augmented": dict(spec.auxiliary),
        "width": network.width,
        "edges": len(edges),
        "splines": sum(edge.is_numeric for edge in edges),
        "functions": sum(len(edge.functions) for edge in edges),
        "grid": sorted({layer.basis.grid for layer in spec.layers}),
        "order": sorted({layer.basis.k for layer in spec.layers}),
        "parameters": network.n_parameters,
        "formula": _laws.texts(network, _laws.DIGITS) if network.is_formula else None,
    }
    if json:
        echo_json({"kind": "network", "file": source, **facts})
        return
    has_splines = facts["splines"] > 0
    width = [f"{sums}+{products}" if products else str(sums) for sums, products in facts["width"]]
    screen.pairs(
        [
            ("network", source),
            ("inputs", listed(spec.inputs)),
            ("target", listed(spec.outputs)),
            ("augmented", ", ".join(f"{listed([n])} = {text}" for n, text in spec.auxiliary) or None),
            ("width", ", ".join(width)),
            ("edges", counted(f"{len(edges)}, of them {facts['splines']} splines")),
            ("splines", f"order {_listed(facts['order'])}, grid {_listed(facts['grid'])}" if has_splines else None),
            ("parameters", str(facts["parameters"])),
            ("formula", "\n".join(_laws.equations(network, facts["formula"])) if facts["formula"] else None),
        ]
    )


def _listed(values: list[int]) -> str:
    return ", ".join(map(str, values))


def describe(source: "Source", name: str, json: bool) -> None:
    """Prints the columns of a table."""
    from kan2.cli import screen
    from kan2.cli._output import echo_json

    table, description = source.table, source.description or None
    columns = [_column(table, column) for column in table.columns]
    if json:
        echo_json({"kind": "table", "file": name, "description": description, "rows": len(table), "columns": columns})
        return
    screen.pairs([("table", name), ("about", description), ("rows", len(table))])
    shown = ["column", "unit", "lowest", "highest", "mean", "missing"]
    rows = [[c["column"], c["unit"] or "", *(_number(c[k]) for k in shown[2:5]), str(c["missing"])] for c in columns]
    if any(c["kind"] != "numbers" for c in columns):
        shown.insert(1, "what")
        rows = [[row[0], c["kind"], *row[1:]] for row, c in zip(rows, columns)]
    typer.echo()
    screen.show(shown, rows, right=shown[-4:])


def _column(table: "Table", name: str) -> dict[str, Any]:
    import numpy as np

    from kan2.errors import DataError

    found = {"column": name, "unit": table.units.get(name), "kind": "numbers", "missing": table.missing(name)}
    try:
        values = table[name]
    except DataError as error:
        # Its message says what it is: "expected numbers, got text such as ...".
        kind = re.search(r"got (.*?) (?:such as|in column)", str(error))
        values, found["kind"] = np.empty(0), kind[1] if kind else "no numbers"
    known = values[~np.isnan(values)]
    numbers = (None, None, None) if not len(known) else (known.min(), known.max(), known.mean())
    return found | dict(zip(("lowest", "highest", "mean"), numbers))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
