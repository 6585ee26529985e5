"""What shells complete: files of networks and of data, and the columns of the file that is typed already."""

import csv
import os
import re
from pathlib import Path
from typing import Any

MODELS = (".kan", ".safetensors")
DATA = (".csv", ".tsv", ".txt", ".dat", ".json", ".jsonl", ".parquet", ".arrow", ".feather", ".gz", ".zst", ".bz2")
_LINES = 200  # of a file's beginning, among which the names of its columns are looked for


def model_files(incomplete: str) -> list[str]:
    """Returns files of networks, and folders."""
    return _files(incomplete, MODELS)


def data_files(incomplete: str) -> list[str]:
    """Returns files that may hold a table, and folders."""
    return _files(incomplete, DATA)


def columns(ctx: Any, incomplete: str) -> list[str]:
    """Returns names of columns of the data on the command line; after a comma the next one is completed."""
    parts = re.findall(r"(?:`[^`]*`?|[^,`])+|,", incomplete)
    start = parts[-1] if parts and parts[-1] != "," else ""
    done = incomplete[: len(incomplete) - len(start)]
    # Behind an option that waits for its value, the words before it are not sorted into parameters.
    sources = [ctx.params.get("data"), ctx.params.get("source"), *ctx.args]
    names = next((found for source in sources if isinstance(source, str) and (found := _header(source))), [])
    written = [f"`{name}`" if "," in name or "`" in name else name for name in names]
    return [f"{done}{name}" for name in written if name.startswith(start) and name not in done.split(",")]


def _files(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    folder, _ = os.path.split(incomplete)
    try:
        entries = sorted(Path(folder or ".").iterdir())
    except OSError:
        return []
    shown = [os.path.join(folder, entry.name) + ("/" if entry.is_dir() else "") for entry in entries]
    return [text for text in shown if text.startswith(incomplete) and text.endswith(("/", *suffixes))]


def _header(source: str) -> list[str]:
    # Quickly, for text; whatever else the file may be gives no names.
    try:
        with open(source, encoding="utf-8-sig", newline="") as file:
            lines = [line for _, line in zip(range(_LINES), file) if line.strip() and not line.startswith("#")]
        if not lines:
            return []
        separator = max(",;\t", key=lines[0].count)
        from kan2.tables.read import split_names

        # Without units, as the options take them.
        return split_names([name.strip() for name in next(csv.reader(lines[:1], delimiter=separator))])[0]
    except (OSError, UnicodeDecodeError, csv.Error, StopIteration):
        return []
