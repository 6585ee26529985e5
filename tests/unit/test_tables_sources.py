"""Where tables come from: packed files, streams, other formats and frames, and files that are none."""

import bz2
import codecs
import csv
import gzip
import io
import os
import re
import warnings
import zipfile

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from kan2.errors import DataError, DataWarning, Kan2Error, UnknownNameError
from kan2.tables import Table, read
from kan2.tables import _sources as sources

EXAMPLE = "# made in May\nt [s],x (mm),label\n0,1.5,a\n1,2.5,b\n"


def of(text: str | bytes, **options) -> Table:
    return read(io.BytesIO(text if isinstance(text, bytes) else text.encode()), **options)


def refused(text, match: str, **options) -> None:
    with pytest.raises(Kan2Error, match=match) as refusal:
        read(text, **options) if not isinstance(text, str | bytes) else of(text, **options)
    told = str(refusal.value)
    assert told.startswith("read: ")
    assert "\n" not in told


def attempt(data: bytes, **options) -> Table | str:
    """Returns the table, or what a refusal says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        try:
            return of(data, **options)
        except Kan2Error as refusal:
            return str(refusal)


def test_packed_files_and_streams(tmp_path, monkeypatch):
    packed = {
        "a.csv.gz": gzip.compress,
        "a.csv.bz2": bz2.compress,
        "a.csv.zst": lambda b: pa.compress(b, "zstd", asbytes=True),
    }
    for name, pack in packed.items():
        (tmp_path / name).write_bytes(pack(EXAMPLE.encode()))
        assert read(tmp_path / name)["x"].tolist() == [1.5, 2.5], name
        with (tmp_path / name).open("rb") as file:
            assert read(file)["x"].tolist() == [1.5, 2.5], name
    (tmp_path / "a.tsv").write_text("a b\tc\n1\t2\n")
    assert read(str(tmp_path / "a.tsv")).columns == ("a b", "c")
    assert read(io.StringIO(EXAMPLE))["x"].tolist() == [1.5, 2.5]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(EXAMPLE.encode())))
    assert read("-")["x"].tolist() == [1.5, 2.5]


def test_streams_larger_than_memory_is_given(monkeypatch):
    monkeypatch.setattr(sources, "_IN_MEMORY", 1000)
    assert len(of("a,b\n" + "1,2\n" * 10_000 + "# c\n")) == 10_000


def test_other_formats(tmp_path):
    numbers = pa.table({"t [s]": [1, 2], "x": [1.5, None]})
    pa.parquet.write_table(numbers, tmp_path / "a.parquet")
    pa.feather.write_feather(numbers, tmp_path / "a.feather")
    with pa.ipc.new_stream(tmp_path / "a.arrows", numbers.schema) as stream:
        stream.write_table(numbers)
    (tmp_path / "a.jsonl").write_text('{"t [s]": 1, "x": 1.5}\n{"t [s]": 2}\n')
    (tmp_path / "a.json").write_text('[{"t [s]": 1, "x": 1.5}, {"t [s]": 2, "x": null}]')
    (tmp_path / "b.json").write_text('{"t [s]": [1, 2], "x": [1.5, null]}')
    for path in tmp_path.iterdir():
        for source in (path, io.BytesIO(path.read_bytes())):
            table = read(source)
            assert table.columns == ("t", "x"), path
            assert table.units == {"t": "s"}
            assert table["t"].tolist() == [1, 2]
            assert table.missing("x") == 1
            assert read(path, columns=["t"]).columns == ("t",)
    refused(tmp_path / "a.csv", "no such file")
    with pytest.raises(UnknownNameError, match="unknown format 'xml'"):
        read(tmp_path / "a.json", format="xml")


def test_parquet_of_pandas_leaves_its_index_out(tmp_path):
    pd.DataFrame({"a": [1, 2]}, index=[5, 6]).to_parquet(tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet").columns == ("a",)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": [1, 2], "b [m]": [0.5, 1.5]}),
        pl.DataFrame({"a": [1, 2], "b [m]": [0.5, 1.5]}),
        pl.LazyFrame({"a": [1, 2], "b [m]": [0.5, 1.5]}),
        pa.table({"a": [1, 2], "b [m]": [0.5, 1.5]}),
        xr.Dataset({"b": ("a", [0.5, 1.5], {"units": "m"})}, coords={"a": [1, 2]}),
        xr.DataArray([0.5, 1.5], dims="a", coords={"a": [1, 2]}, name="b", attrs={"units": "m"}),
        {"a": [1, 2], "b [m]": np.array([0.5, 1.5])},
        np.array([(1, 0.5), (2, 1.5)], dtype=[("a", int), ("b [m]", float)]),
        pd.DataFrame({"b [m]": [0.5, 1.5]}, index=pd.Index([1, 2], name="a")),
    ],
    ids=lambda frame: f"{type(frame).__module__.split('.')[0]}-{type(frame).__name__}",
)
def test_frames(frame):
    table = read(frame)
    assert table.columns == ("a", "b")
    assert table.units == {"b": "m"}
    assert table["b"].tolist() == [0.5, 1.5]
    assert read(frame, columns=["b"]).columns == ("b",)
    assert read(table) is table


def test_frames_that_are_none():
    assert read(np.eye(2)).columns == ("x1", "x2")
    assert read(pd.DataFrame({"z": [1j], "a": [1]}), columns=["a"])["a"].tolist() == [1]
    refused(pd.DataFrame({"z": [1j]}), "complex128 in 'z'.*Pass its real and imaginary part")
    refused(pd.DataFrame({"a": [1, "x"]}), "got object in 'a'")
    refused({"a": [1], "b": [1, 2]}, "columns of one length")
    refused(np.zeros((2, 2, 2)), r"an array of shape \(2, 2, 2\)")
    refused(xr.Dataset({"T": (("x", "y"), np.zeros((100, 100)))}), "a grid of 10,000 points", max_bytes=1000)
    for other in (None, 5, [[1, 2]], {}):
        with pytest.raises(DataError, match=r"^read: expected"):
            read(other)


def test_paths_that_are_none(tmp_path):
    (tmp_path / "measured.csv").write_text("a\n1\n")
    refused(tmp_path / "mesured.csv", r"no such file: .*Did you mean '.*measured\.csv'")
    refused(tmp_path, r"got the folder .*such as 'measured\.csv'")
    refused(tmp_path / "no" / "a.csv", "there is no folder")
    for text, match in (
        ("a,b\n1,2\n", "io.StringIO"),
        ("http://host/a.csv", "Fetch the file"),
        ("a\0b", "no such file|null"),
    ):
        with pytest.raises(DataError, match=match):
            read(text)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    path.chmod(0)
    refused(path, "Permission denied")


def test_a_file_that_cannot_be_opened(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_text("a\n1\n")
    monkeypatch.setattr(type(path), "open", lambda *_: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    refused(path, r"expected a file that can be read, got '.*a\.csv': Permission denied")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "which is empty"),
        (" \n\n", "which is empty"),
        ("# a\n# b\n", "comments alone"),
        ("a,b\n", "only a header in .*: a, b"),
        (bytes(range(256)) * 20, "whose bytes are no text"),
        ("a,b,a\n1,2,3\n", r"'a' \(columns 1, 3\).*names="),
        ("a,b\n1,2\n3\n4,5\n", r"expected 2 values a row, as in the first one, got 1 in line 3 of .*: '3'"),
        ("# c\n\na,b\n1,2\n\n# d\n3,4,5\n", "got 3 in line 7 "),
        ("a,b\n1,5,2,5\n", "decimal commas, values must be apart by ;"),
        ("a b\n1 2\n3\n", "got 1 in line 3 .*between spaces"),
        ('{"a": {"b": 1}}\n{"a": {"b": 2}}\n', "nested ones in 'a'"),
        ('{"a": 1}\n{"a": ' + "[" * 100_000, "nested too deeply"),
        ("[" * 100_000, "JSON"),
        ("[1, 2]", "no record but int"),
        ('{"a": 1', "expected JSON records"),
        ('{"a": 1}\n{"a": "x"}\n', "expected JSON records"),
        ("\x89HDF\r\n\x1a\n".encode("latin-1") + b"\0" * 100, "an HDF5 file"),
    ],
)
def test_what_is_no_table(text, match):
    refused(text, match)


def test_an_option_that_is_none():
    for options, match in (
        ({"delimiter": ",,"}, "a delimiter of one character"),
        ({"decimal": "x"}, r"expected decimal '\.' or ','"),
        ({"decimal": ",", "delimiter": ","}, "another delimiter than the decimal sign"),
        ({"names": ["p"]}, "expected 2 names for the columns"),
        ({"max_bytes": 0}, "max_bytes as a whole number >= 1"),
    ):
        refused("a,b\n1,2\n", match, **options)


def test_archives_and_workbooks(tmp_path):
    for name, match in (("a.zip", "a zip archive. Unpack"), ("a.xlsx", "a workbook. Save the sheet as CSV")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("a.csv", "a\n1\n")
        refused(tmp_path / name, match)


def test_files_that_are_cut_short(tmp_path):
    numbers = pa.table({"x": np.random.default_rng(0).normal(size=1000)})
    pa.parquet.write_table(numbers, tmp_path / "a.parquet")
    pa.feather.write_feather(numbers, tmp_path / "a.feather")
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a\n" + b"1\n" * 1000))
    for path in list(tmp_path.iterdir()):
        path.write_bytes(path.read_bytes()[:-12])
        refused(path, r"expected a whole (file|Parquet file|Arrow file), got a\.")
    (tmp_path / "b.parquet").write_text("a,b\n1,2\n")
    refused(tmp_path / "b.parquet", "does not begin as one")


def test_a_line_without_end(monkeypatch):
    monkeypatch.setattr("kan2.tables._dialect.MAX_LINE", 2**18)
    monkeypatch.setattr("kan2.tables._csv.MAX_LINE", 2**20)
    refused(b"1" * 2**20, "a longer one")
    refused(b"a,b\n1,2\n3,4\n5,6\n1,2\n3,4\n5,6\n" + b"1" * 2**23, "a longer one")
    wide = "\n".join([",".join(f"c{i}" for i in range(12_000)), ",".join(["1.5"] * 12_000)])
    monkeypatch.undo()
    assert len(read(io.StringIO(wide), columns=["c11999"])) == 1


def test_a_bomb_is_noticed_while_it_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_FREE", 2**20)
    rows = b"0,0\n" * 2**20
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n" + rows))
    refused(tmp_path / "a.csv.gz", "grows to more than 100 times its size")
    assert len(read(tmp_path / "a.csv.gz", max_bytes=2**25)) == 2**20
    refused(tmp_path / "a.csv.gz", "expected at most 1,000,000 bytes", max_bytes=10**6)
    pa.parquet.write_table(pa.table({"x": np.zeros(10**6)}), tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", "expected at most 1,000,000 bytes, got 8,000,000", max_bytes=10**6)


NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**15), 10**15)


@given(
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, st.text("abc ,;\"'\t#ü", max_size=6)), min_size=1, max_size=8),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.sampled_from([".", ","]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    end=st.sampled_from(["\n", "\r\n"]),
    pack=st.sampled_from([bytes, gzip.compress]),
    asked=st.booleans(),
)
def test_a_table_that_is_written_is_read_back(rows, delimiter, decimal, encoding, quoting, end, pack, asked):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writerow(["x [m]", "y", "label"])
    for x, y, label in rows:
        writer.writerow([repr(x).replace(".", decimal), repr(y).replace(".", decimal), f"q{label}"])
    options = {"decimal": decimal, "delimiter": delimiter} if asked and decimal != delimiter else {"decimal": decimal}
    if decimal == delimiter:
        options = {}
    table = attempt(pack(text.getvalue().encode(encoding)), **options)
    if isinstance(table, str):
        # Without the argument a number such as 1,234 may be one of two.
        assert decimal == delimiter == ","
        assert re.search("in one way|can be told", table)
        return
    assert table.units == {"x": "m"}
    np.testing.assert_array_equal(table["x"], [float(row[0]) for row in rows])
    np.testing.assert_array_equal(table["y"], [float(row[1]) for row in rows])
    assert table.arrow["label"].to_pylist() == [f"q{row[2]}" for row in rows]


@given(data=st.binary(max_size=200) | st.text('ab1.5,;\t |"#\n-[]()/{}:', max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(data):
    found = attempt(data)
    assert found.startswith("read: ") if isinstance(found, str) else len(found) > 0


def test_byte_order_marks_do_not_become_names():
    for mark, encoding in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le")):
        assert of(mark + "a,b\n1,2\n".encode(encoding), encoding=encoding).columns == ("a", "b")
