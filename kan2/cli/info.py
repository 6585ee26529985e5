"""`kan2 info`: what is in a file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kan2.cli import _options as options
from kan2.cli._complete import data_files, model_files
from kan2.cli._errors import DONE

if TYPE_CHECKING:
    from kan2.multkan import MultKAN


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
    from kan2.cli._data import is_model

    if is_model(source):
        from kan2.cli.predict import load

        _network(load(Path(source)), source, json)
    else:
        from kan2.cli._table import read_table

        describe(read_table(source), source, json)
    return DONE


def _network(network: "MultKAN", source: str, json: bool) -> None:
    from kan2.cli import _laws, screen
    from kan2.cli._output import echo_json

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
            ("inputs", ", ".join(spec.inputs)),
            ("target", ", ".join(spec.outputs)),
            ("augmented", ", ".join(f"{n} = {text}" for n, text in spec.auxiliary) or None),
            ("width", ", ".join(width)),
            ("edges", f"{len(edges)}, of them {facts['splines']} splines"),
            ("splines", f"order {_listed(facts['order'])}, grid {_listed(facts['grid'])}" if has_splines else None),
            ("parameters", str(facts["parameters"])),
            ("formula", "\n".join(_laws.equations(network, facts["formula"])) if facts["formula"] else None),
        ]
    )


def _listed(values: list[int]) -> str:
    return ", ".join(map(str, values))


def describe(table: Any, source: str, json: bool) -> None:
    """Prints the columns of a table."""
    from kan2.cli import screen
    from kan2.cli._output import echo_json

    columns = [_column(table, name) for name in table.columns]
    description = getattr(table, "description", "") or None
    if json:
        echo_json(
            {"kind": "table", "file": source, "description": description, "rows": len(table), "columns": columns}
        )
        return
    screen.pairs([("table", source), ("about", description), ("rows", len(table))])
    shown = ["column", "unit", "lowest", "highest", "mean", "missing"]
    rows = [
        [
            c["column"],
            c["unit"] or "",
            *(c["kind"] if i == 0 and c["kind"] != "numbers" else _number(c[k]) for i, k in enumerate(shown[2:5])),
            str(c["missing"]),
        ]
        for c in columns
    ]
    typer.echo()
    screen.show(shown, rows, right=shown[2:])


def _column(table: Any, name: str) -> dict[str, Any]:
    import numpy as np

    from kan2.errors import DataError

    unit = dict(getattr(table, "units", {})).get(name) or None
    try:
        values = table[name]
    except DataError as error:
        kind = str(error).partition("got ")[2].partition(" in ")[0].partition(" such")[0] or "no numbers"
        return {"column": name, "unit": unit, "kind": kind, "lowest": None, "highest": None, "mean": None,
                "missing": _n_missing(table, name)}  # fmt: skip
    known = values[~np.isnan(values)]
    empty = not len(known)
    return {
        "column": name,
        "unit": unit,
        "kind": "numbers",
        "lowest": None if empty else float(known.min()),
        "highest": None if empty else float(known.max()),
        "mean": None if empty else float(known.mean()),
        "missing": len(values) - len(known),
    }


def _n_missing(table: Any, name: str) -> int:
    arrow = getattr(table, "arrow", None)
    return 0 if arrow is None else int(arrow.column(name).null_count)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
