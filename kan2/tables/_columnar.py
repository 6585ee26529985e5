"""Tables that other programs have written column by column or record by record: Parquet, Arrow, JSON.

Reference: https://parquet.apache.org/docs/file-format/, https://jsonlines.org
"""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kan2.errors import DataError
from kan2.tables._cells import shown
from kan2.tables._csv import chosen
from kan2.tables._dialect import check_names
from kan2.tables._sources import MAX_BYTES, Source, long_line
from kan2.tables.headers import name_and_unit

MAX_DEPTH = 64  # of nested JSON; pyarrow's reader recurses, and ends the process at some thousands
_INDEX = re.compile(r"__index_level_\d+__")


def read_parquet(source: Source, columns: Sequence[str] | None, limit: int | None) -> Any:
    """Reads a Parquet file into a pyarrow.Table, of the wanted columns alone.

    Raises:
        DataError: this is no whole Parquet file, or holds more than the limit when it is unpacked.
    """
    import pyarrow
    from pyarrow import parquet

    try:
        with _seekable(source, pyarrow) as stream:
            file = parquet.ParquetFile(stream)
            names = [name for name in file.schema_arrow.names if not _INDEX.fullmatch(name)]
            wanted = _chosen(names, columns, source.name)
            # A file says how many rows it has, and a column of one value takes no place: count what will.
            _check_size(8 * file.metadata.num_rows * max(1, len(wanted)), source.name, limit)
            return file.read(columns=wanted)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, OSError, EOFError) as error:
        raise _damaged("Parquet", source, error) from None


def read_arrow(source: Source, columns: Sequence[str] | None, limit: int | None) -> Any:
    """Reads a file of Feather or Arrow IPC, with or without an index at its end, into a pyarrow.Table.

    Raises:
        DataError: this is no whole Arrow file, or holds more than the limit.
    """
    import pyarrow
    from pyarrow import feather, ipc

    try:
        with _seekable(source, pyarrow) as stream:
            if source.head.startswith(b"FEA1"):
                table = feather.read_table(stream)
                return table.select(_chosen(table.column_names, columns, source.name))
            if source.head.startswith(b"ARROW1"):
                file = ipc.open_file(stream)
                batches: Iterator[Any] = (file.get_batch(i) for i in range(file.num_record_batches))
            else:
                file = ipc.open_stream(stream)
                batches = iter(file)
            wanted = _chosen([n for n in file.schema.names if not _INDEX.fullmatch(n)], columns, source.name)
            kept, size = [], 0
            for batch in batches:
                kept.append(batch.select(wanted))
                size += batch.nbytes
                _check_size(size, source.name, limit)
            schema = pyarrow.schema([file.schema.field(name) for name in wanted])
            return pyarrow.Table.from_batches(kept, schema)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, OSError, EOFError) as error:
        raise _damaged("Arrow", source, error) from None


def read_json(source: Source, columns: Sequence[str] | None) -> Any:
    """Reads records, one a line or in one array, or one object of columns, into a pyarrow.Table.

    Raises:
        DataError: this is no JSON of records, or it is nested.
    """
    import pyarrow

    with source.open() as stream:
        start = stream.read(2**16)
    bare = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not bare:
        raise DataError(f"read: expected a table, got {source.name}, which is empty.")
    try:
        table = _json_array(source) if _is_document(bare) else _json_lines(source)
    except (pyarrow.ArrowInvalid, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        text = " ".join(str(error).split())[:160]
        raise DataError(
            f"read: expected JSON records of one kind, one a line or in one array, got {source.name}: {text}."
        ) from None
    nested = [f.name for f in table.schema if pyarrow.types.is_nested(f.type)]
    wanted = _chosen(table.column_names, columns, source.name)
    if bad := [name for name in wanted if name in nested]:
        raise DataError(
            f"read: expected records of plain values, got nested ones in {', '.join(repr(shown(n)) for n in bad[:5])} "
            f"of {source.name}. Name the other columns in columns=, or write one record a row (orient='records')."
        )
    return table.select(wanted)


def units_in_fields(schema: Any) -> dict[str, str]:
    """Returns the units that a schema carries beside its fields, by name."""
    found = {}
    for column in schema:
        known = column.metadata or {}
        unit = known.get(b"units", known.get(b"unit", b"")).decode(errors="replace")
        if unit:
            found[column.name] = unit
    return found


def _is_document(start: bytes) -> bool:
    # One array; or one object of columns, the first of which is a list or an object.
    return start.startswith(b"[") or re.match(rb'\{\s*"(?:[^"\\]|\\.)*"\s*:\s*[\[{]', start) is not None


def _json_array(source: Source) -> Any:
    import pyarrow

    with source.open() as stream:
        text = stream.read().decode("utf-8-sig")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":
            return _json_lines(source)
        raise
    if isinstance(found, dict) and found and all(isinstance(v, list) for v in found.values()):
        lengths = {name: len(values) for name, values in found.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths, {lengths}")
        return pyarrow.table(found)
    if isinstance(found, dict):
        return pyarrow.Table.from_pylist([found])
    if not found:
        raise ValueError("an array without records")
    if (odd := next((i for i, record in enumerate(found) if not isinstance(record, dict)), None)) is not None:
        raise ValueError(f"entry {odd} of the array is no record but {type(found[odd]).__name__}")
    # The first record alone would tell the names otherwise.
    names = list(dict.fromkeys(name for record in found for name in record))
    return pyarrow.table({name: [record.get(name) for record in found] for name in names})


def _json_lines(source: Source) -> Any:
    import pyarrow
    from pyarrow import json as arrow

    _check_depth(source)
    for block in (2**20, 2**25):
        with source.open() as stream:
            try:
                return arrow.read_json(stream, read_options=arrow.ReadOptions(block_size=block))
            except pyarrow.ArrowInvalid as error:
                if "straddl" not in str(error):
                    raise
    raise long_line(source.name)


def _check_depth(source: Source) -> None:
    # Braces within texts count as well, until there are too many: then texts are taken out first.
    if _depth(source, without_texts=False) > MAX_DEPTH and _depth(source, without_texts=True) > MAX_DEPTH:
        raise DataError(f"read: expected records of plain values, got {source.name}, which is nested too deeply.")


def _depth(source: Source, without_texts: bool) -> int:
    steps = np.zeros(256, dtype=np.int32)
    steps[list(b"[{")], steps[list(b"]}")] = 1, -1
    level = lowest = deepest = 0
    with source.open() as stream:
        for line in _blocks(stream):
            block = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", line) if without_texts else line
            levels = level + np.cumsum(steps[np.frombuffer(block, dtype=np.uint8)])
            if not len(levels):
                continue
            floor = np.minimum(lowest, np.minimum.accumulate(levels))
            deepest = max(deepest, int((levels - floor).max()))
            level, lowest = int(levels[-1]), int(floor[-1])
    return deepest


def _blocks(stream: Any) -> Iterator[bytes]:
    # Whole lines, so that no text is cut.
    rest = b""
    while block := stream.read(2**20):
        whole = rest + block
        end = 1 + whole.rfind(b"\n")
        if end == 0 and len(whole) < 2**25:
            rest = whole
            continue
        end = end or len(whole)
        yield whole[:end]
        rest = whole[end:]
    yield rest


def _seekable(source: Source, pyarrow: Any) -> Any:
    if source.path is not None:
        return pyarrow.OSFile(str(source.path))
    with source.open() as stream:
        return pyarrow.BufferReader(stream.read())


def _chosen(names: Sequence[str], columns: Sequence[str] | None, where: str) -> list[str]:
    check_names(names, where)
    bare = [name_and_unit(name)[0] for name in names]
    wanted = None if columns is None else [columns] if isinstance(columns, str) else list(columns)
    if wanted is not None:
        # A column may be asked for with its unit or without.
        wanted = [names[bare.index(c)] if c not in names and bare.count(c) == 1 else c for c in wanted]
    return chosen(names, wanted)


def _check_size(size: int, name: str, limit: int | None) -> None:
    limit = MAX_BYTES if limit is None else limit
    if size > limit:
        raise DataError(
            f"read: expected at most {limit:,} bytes, got {size:,} of {name} when it is unpacked. Name fewer columns "
            "in columns=, or pass max_bytes= to read more."
        )


def _damaged(kind: str, source: Source, error: Exception) -> DataError:
    text = " ".join(str(error).split())[:160].rstrip(".")
    return DataError(f"read: expected a whole {kind} file, got {source.name}: {text}. Fetch or write it again.")
