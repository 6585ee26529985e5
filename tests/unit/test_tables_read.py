"""Files of all kinds read: the same numbers however they are written, one clear line of refusal for what is none."""

import io

import numpy as np
import pytest

from kan2.errors import DataError, DataWarning, Kan2Error
from kan2.tables import Table, read
from kan2.tables.headers import is_unit, name_and_unit

EXAMPLE = "# made in May\nt [s],x (mm),label\n0,1.5,a\n1,2.5,b\n"


def of(text: str | bytes, **options) -> Table:
    return read(io.BytesIO(text if isinstance(text, bytes) else text.encode()), **options)


def refused(text, match: str, **options) -> None:
    with pytest.raises(Kan2Error, match=match) as refusal:
        read(text, **options) if not isinstance(text, str | bytes) else of(text, **options)
    told = str(refusal.value)
    assert told.startswith("read: ")
    assert "\n" not in told


def test_units_comments_and_types_of_a_csv():
    table = of(EXAMPLE)
    assert table.columns == ("t", "x", "label")
    assert table.units == {"t": "s", "x": "mm"}
    assert table.comments == ("made in May",)
    assert table["x"].tolist() == [1.5, 2.5]
    assert table["x (mm)"].tolist() == [1.5, 2.5]
    assert table.arrow["label"].to_pylist() == ["a", "b"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "   ", " \t "])
def test_delimiters_are_found(delimiter):
    text = "\n".join(delimiter.join(row) for row in (["a", "b", "c"], ["1", "-2.5", "3e3"], ["4", "5", "6"])) + "\n"
    assert [of(text)[name].tolist() for name in "abc"] == [[1, 4], [-2.5, 5], [3e3, 6]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_encodings_are_found(encoding):
    table = of("größe;name\n1,5;Öl\n".encode(encoding))
    assert table["größe"].tolist() == [1.5]
    assert table.arrow["name"].to_pylist() == ["Öl"]


def test_bytes_that_are_no_utf8_far_down_are_found():
    text = b"a,b\n" + b"1,x\n" * 40_000 + b"1,\xfc\n"
    assert of(text).arrow["b"][-1].as_py() == "ü"
    refused(text, "expected text in utf-8, got the byte 0xfc", encoding="utf-8")
    refused(b"\xff\xfe\xfd,b\n1,2\n", "expected text in utf-8", encoding="utf-8")
    refused("a\n1\n", "unknown encoding 'klingon'", encoding="klingon")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a;b\n1,5;2\n", 1.5),
        ("a\tb\n1,5\t2\n", 1.5),
        ("a b\n1,5 2,5\n", 1.5),
        ('a,b\n"1,5","2,5"\n', 1.5),
        ("a;b\n1.234,5;2\n", 1234.5),
        ('a,b\n"1,234.5",2\n', 1234.5),
        ('a,b\n"1,234,567",2\n', 1234567),
        ("a;b\n1 234,5;2,5\n", 1234.5),
        ("a;b\n1'234.5;2\n", 1234.5),
        ("a,b\n\u22121.5,2\n", -1.5),
        ("a b\n1.5D+03 2\n", 1500),
        ("a,b\n+.5,2\n", 0.5),
        ("a,b\n inf , 2\n", np.inf),
    ],
)
def test_numbers_as_people_write_them(text, expected):
    assert of(text)["a"].tolist() == [expected]


def test_what_may_be_thousands_or_decimals_is_refused():
    text = "a;b\n1,234;2\n5,678;3\n"
    refused(text, r"got '1,234' in .*, which is 1234 or 1\.234\. Pass decimal=',' or decimal='\.'")
    assert of(text, decimal=",")["a"].tolist() == [1.234, 5.678]
    assert of(text, decimal=".")["a"].tolist() == [1234, 5678]
    refused('a,b\n1,1.5\n"2,345",2.5\n', "read in one way, got such as '2,345' in column 'a'")


def test_decimal_commas_beyond_the_sample_are_found():
    assert of("a;b\n" + "1;2\n" * 40_000 + "1,5;2\n")["a"][-1] == 1.5


def test_comments_between_the_rows():
    assert of("a,b\n1,2\n# a pause\n3,4\n")["a"].tolist() == [1, 3]
    assert of("a,b\n1,2\n  # 5,6\n3,4\n")["b"].tolist() == [2, 4]
    assert of("a\n1\n#2\n3\n")["a"].tolist() == [1, 3]
    assert of("a,b\n1,2\n" * 1 + "3,4\n" * 40_000 + "# 5,6\n", columns=["b"])["b"].max() == 4
    assert of("% made\na,b\n1,2\n", comment="%").comments == ("made",)
    assert of("a,b\n#1,2\n", comment=None).arrow["a"].to_pylist() == ["#1"]


def test_missing_values():
    cells = ["", "NA", "nan", "NaN", "-", "n/a", "null", "N/A"]
    table = of("a,b\n" + "".join(f"{cell},1\n" for cell in cells) + "2.5,1\n")
    assert table.missing("a") == len(cells)
    assert np.isnan(table["a"][:-1]).all()
    assert table["a"][-1] == 2.5
    assert np.isnan(of("a,b\n,1\n,2\n")["a"]).all()


def test_quoted_names_and_values_with_line_breaks():
    table = of('"flow\n rate (l/min)","a, b"\n1,"x\n# y"\n2,"z"\n')
    assert table.columns == ("flow rate", "a, b")
    assert table.units == {"flow rate": "l/min"}
    assert table.arrow["a, b"].to_pylist() == ["x\n# y", "z"]
    far = of("a,b\n" + "1,x\n" * 300_000 + '2,"y\nz"\n' * 300_000)
    assert (len(far), far.arrow["b"][-1].as_py()) == (600_000, "y\nz")


def test_a_second_row_of_units():
    assert of("t,v,n\ns,m/s,\n0,1,2\n1,2,3\n").units == {"t": "s", "v": "m/s"}
    assert of("t,v\n[s],[furlong]\n0,1\n").units == {"t": "s", "v": "furlong"}
    assert of("t,v\ns,m/s\n0,1\n", units=False).arrow["t"].to_pylist() == ["s", "0"]
    # Names of people are no units, and neither is what stands above text.
    assert of("name,v\nSmith,m\nJones,n\n").units == {}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("v [m/s]", ("v", "m/s")), ("v(m/s)", ("v", "m/s")), ("T / K", ("T", "K")), ("q [-]", ("q", "1")),
        ("E (kJ mol^-1)", ("E", "kJ mol^-1")), ("c (J/(kg K))", ("c", "J/(kg K)")), ("T (°C)", ("T", "°C")),
        ("f(x)", ("f(x)", "")), ("f(s)", ("f(s)", "")), ("x[0]", ("x[0]", "")), ("a / b", ("a / b", "")),
        ("n (total)", ("n (total)", "")), ("v", ("v", "")), ("", ("", "")),
    ],
)  # fmt: skip
def test_units_in_names(name, expected):
    assert name_and_unit(name) == expected


def test_units_are_symbols():
    for text in ("m s-1", "W·m−2", "10^6 m", "µm²", "kg*m**2/s**2", "1/s", "%"):
        assert is_unit(text), text
    for text in ("", "1", "speed", "x", "m/x", "^2"):
        assert not is_unit(text), text


def test_without_a_header():
    with pytest.warns(DataWarning, match=r"numbers in its first row and no names; the columns are called x1 to x3"):
        table = of("1,2,3\n4,5,6\n")
    assert table.columns == ("x1", "x2", "x3")
    assert len(table) == 2
    assert len(of("1,2\n3,4\n", header=False)) == 2
    assert of("1,2\n3,4\n", header=True).columns == ("1", "2")
    assert of("1,2\n3,4\n", names=["p", "q"])["p"].tolist() == [1, 3]
    assert of("a,b\n3,4\n", names=["p", "q"])["p"].tolist() == [3]
    assert of("id,400,500\nA,1,2\n", header=True).columns == ("id", "400", "500")
    assert of("depth,400,500\n1,1,2\n").columns == ("depth", "400", "500")
    refused("Fe,1.5\nNi,2.5\n", "Pass header=True where these are names, header=False where they are values")
    with pytest.warns(DataWarning, match="from the last comment above the numbers .*: t, x"):
        assert of("# a run\n# t x\n0 1\n1 2\n").columns == ("t", "x")


def test_empty_names_and_ends_of_lines():
    assert of(",x\n0,1\n1,3\n").columns == ("column1", "x")
    assert of("a,b,\n1,2,\n3,4,\n").columns == ("a", "b")
    assert of("a,b\r1,2\r3,4\r")["b"].tolist() == [2, 4]
    assert of("a,b\r\n1,2\r\n# c\r\n3,4")["b"].tolist() == [2, 4]
    assert of("a\n1\n")["a"].tolist() == [1]


def test_dates_are_dates():
    table = of("day,at,x\n2020-01-31,2020-01-31 12:00:00,1\n")
    for name in ("day", "at"):
        with pytest.raises(DataError, match=f"dates in column '{name}'"):
            table[name]


def test_columns_are_chosen():
    assert of(EXAMPLE, columns=["x", "t [s]"]).columns == ("x", "t")
    assert of(EXAMPLE, columns="x").units == {"x": "mm"}
    refused(EXAMPLE, "unknown column 'lable'. Did you mean 'label'", columns=["lable"])
