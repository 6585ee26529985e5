"""`kan2 datasets`: the tables that come with the library."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kan2.cli import _options as options
from kan2.cli._errors import DONE, Refusal


def _complete(incomplete: str) -> list[str]:
    from kan2.datasets import names

    return [name for name in names() if name.startswith(incomplete)]


def datasets(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One of them, or a group.", autocompletion=_complete),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", readable=False, metavar="FILE", help="Write it, as .csv, .tsv or .txt.")
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
) -> int:
    """Lists the tables that come with kan2.

    With a name it describes that one. Any command reads one as datasets:NAME; of a formula that is a sample.
    """
    from kan2.cli._output import TABLES, check_output
    from kan2.datasets.catalogue import GROUPS

    if name is None or name in GROUPS:
        if output is not None:
            raise Refusal("expected the name of a table before -o, got none. kan2 datasets lists them.")
        _list(name, json)
        return DONE
    check_output(output, force, TABLES)
    _describe(name.removeprefix("datasets:"), output, json)
    return DONE


def _list(group: str | None, json: bool) -> None:
    from kan2.cli import screen
    from kan2.cli._output import echo_json
    from kan2.datasets import describe, names
    from kan2.datasets.catalogue import GROUPS

    known = [describe(name) for name in names(group or "measured")]
    groups = {} if group else {key: text for key, text in GROUPS.items() if key != "measured"}
    if json:
        found = [{"name": about.name, "title": about.title, "law": about.law, "rows": about.rows} for about in known]
        echo_json({"datasets": found, "groups": groups})
        return
    if all(about.rows is not None for about in known):
        rows = [[about.name, str(about.rows), about.title] for about in known]
        screen.show(["name", "rows", "what it is"], rows, right=("rows",))
    else:
        screen.show(["name", "formula"], [[about.name, about.law] for about in known])
    if groups:
        typer.echo()
        screen.show(["group", "what is in it"], [[key, text] for key, text in groups.items()])


def _describe(name: str, output: Path | None, json: bool) -> None:
    from kan2.cli import screen
    from kan2.cli._output import echo_json, write_at_once
    from kan2.cli._table import read_source, with_unit
    from kan2.datasets import describe

    about, source = describe(name), read_source(f"datasets:{name}")
    if output is not None:
        write_at_once(output, lambda path: _write(source.table, path))
    facts: dict[str, Any] = {
        "name": name,
        "title": about.title,
        "source": about.source or None,
        "law": about.law or None,
        "rows": len(source.table),
        "columns": [with_unit(column, source.table.units.get(column)) for column in source.table.columns],
        "target": list(source.outputs),
    }
    if json:
        echo_json(facts)
        return
    screen.pairs([(key, ", ".join(value) if isinstance(value, list) else value) for key, value in facts.items()])
    if output is not None:
        typer.echo(f"written to {output}")


def _write(table: Any, path: Path) -> None:
    # Units go into the header, where every reader of ours finds them again.
    from pyarrow import csv

    from kan2.cli._table import with_unit

    names = [with_unit(name, table.units.get(name)) for name in table.columns]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    csv.write_csv(table.arrow.rename_columns(names), path, csv.WriteOptions(delimiter=delimiter))
