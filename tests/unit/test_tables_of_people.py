"""Tables as spreadsheets and people leave them: titles, footers, errors in cells, lines without an end."""

import io
import time
import warnings

import numpy as np
import pytest

from kan2.errors import DataError, DataWarning, Kan2Error, NumberError
from kan2.tables import Table, read
from kan2.tables import _sources as sources

NUMBERS = "".join(f"{i},{2 * i}\n" for i in range(20))


def of(text: str, **options) -> Table:
    return read(io.BytesIO(text.encode()), **options)


def silently(text: str, **options) -> Table:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return of(text, **options)


def refusal(text: str, **options) -> str:
    with pytest.raises(Kan2Error) as found:
        of(text, **options)
    return str(found.value)


# -- what stands above a table ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["sep=;", '"sep=;"', "SEP=;", "\ufeffsep=;"])
def test_a_line_that_tells_excel_the_delimiter(first):
    table = silently(f"{first}\r\nx;y\r\n1,5;2\r\n2,5;3\r\n")
    assert table.columns == ("x", "y")
    assert table["x"].tolist() == [1.5, 2.5]


def test_that_line_decides_where_the_file_does_not():
    assert silently("sep=|\nx,1|y,2\n1|2\n3|4\n").columns == ("x,1", "y,2")
    assert silently("sep=\t\nx\ty\n1\t2\n").columns == ("x", "y")
    # What the caller says counts for more.
    assert silently("sep=;\nx|y\n1|2\n3|4\n", delimiter="|").columns == ("x", "y")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_titles_above_names_become_comments(end):
    text = f"My experiment\nby me\n\nt [s],v (m/s)\n{NUMBERS}".replace("\n", end)
    with pytest.warns(DataWarning, match="'My experiment'.*from line 4: t .s., v .m/s."):
        table = of(text)
    assert table.comments == ("My experiment", "by me")
    assert table.columns == ("t", "v")
    assert table.units == {"t": "s", "v": "m/s"}
    np.testing.assert_array_equal(table["v"], 2 * np.arange(20.0))


def test_titles_with_values_of_their_own_are_fewer():
    with pytest.warns(DataWarning, match="title"):
        table = of("Temperature,300\nx,y,z\n1,2,3\n4,5,6\n7,8,9\n")
    assert table.columns == ("x", "y", "z")
    assert table.comments == ("Temperature,300",)


@pytest.mark.parametrize("text", ["My experiment\n1,2\n3,4\n", "Mine\nof May\n1,2\n3,4\n", "x\n1,5\n2,5\n3,5\n"])
def test_titles_that_cannot_be_told_from_names_are_refused(text):
    told = refusal(text)
    assert "begin the title lines with # or delete them" in told
    assert "in line 1" in told
    assert "delimiter=';'" in told


def test_a_header_that_lacks_names_is_no_title():
    assert "got 3 in line 2" in refusal("a,b\n1,2,3\n4,5,6\n")


# -- what stands at the end of rows and of a table --------------------------------------------------------------------


def test_rows_that_end_with_a_delimiter_which_the_names_lack():
    text = "x,y\n1,2,\n3,4,\n"
    table = silently(text)
    assert table.columns == ("x", "y")
    assert table["y"].tolist() == [2.0, 4.0]
    assert silently(text, columns=["y"]).columns == ("y",)
    assert silently(text, names=["a", "b"]).columns == ("a", "b")
    assert silently("column3,y\n1,2,\n3,4,\n").columns == ("column3", "y")
    assert silently("t,v\ns,m/s,\n3,4,\n").units == {"t": "s", "v": "m/s"}


@pytest.mark.parametrize("columns", [None, ["x"]])
def test_a_value_in_that_column_is_refused(columns):
    text = "x,y\n" + 300 * "1,2,\n" + "3,4,5\n"
    assert "got '5' as one more in row 301" in refusal(text, columns=columns)


@pytest.mark.parametrize("footer", ["Mean,3\n", "Mean of all,\n"])
def test_a_footer_below_numbers_is_named(footer):
    word = footer.partition(",")[0]
    with pytest.warns(DataWarning, match=f"'x' has '{word}' in row 21"):
        table = of("x,y\n" + NUMBERS + footer)
    with pytest.raises(NumberError, match=f"text such as '{word}' in row 21 of column 'x'") as found:
        table["x"]
    assert found.value.kind == "text"
    np.testing.assert_array_equal(table.head(20)["y"], 2 * np.arange(20.0))


def test_some_texts_among_many_numbers_are_named():
    with pytest.warns(DataWarning, match=r"'x' has '<0.1' in row 21 \(and in 1 more\)"):
        of("x,y\n" + NUMBERS + "<0.1,3\n<0.2,4\n" + NUMBERS)


@pytest.mark.parametrize("words", ["a,1\nb,2\nc,3\n", "1a,1\n2,2\n3a,3\n4,4\n", "red,1\n"])
def test_columns_of_words_are_no_surprise(words):
    table = silently("x,y\n" + words)
    with pytest.raises(NumberError, match="got text in column 'x'"):
        table["x"]


# -- cells ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["#DIV/0!", "#REF!", "#VALUE!", "#NUM!", "#NAME?", "#NULL!", "#N/A"])
@pytest.mark.parametrize("row", ["{},7", "7,{}"])
def test_errors_of_spreadsheets_are_missing_values(cell, row):
    table = silently("# made by me\nx,y\n1,2\n" + row.format(cell) + "\n# checked\n3,4\n")
    assert len(table) == 3
    assert table.missing("x") + table.missing("y") == 1
    assert table.comments == ("made by me",)


# -- lines without an end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["x" * 200_000, "a,b\n" + "1," * 100_000 + "\n", "a,b\n1,2\n" + "1," * 100_000],
    ids=["one", "below", "last"],
)
def test_a_long_line_is_refused_before_it_is_looked_at(text, monkeypatch):
    for module in (sources, __import__("kan2.tables._dialect", fromlist=["_dialect"])):
        monkeypatch.setattr(module, "MAX_LINE", 2**17)
    assert "expected lines of at most" in refusal(text)


def test_messages_cut_what_is_long():
    name = "x" * 100_000
    for text in (f"{name}\n", f"{name},{name}\n1,2\n", f"{name},1\nb,3\n", f"a,b\n1,2\n{name}\n"):
        assert len(refusal(text)) < 500
    table = silently(f"{name},b\n1,2\n")
    assert len(repr(table)) < 200
    with pytest.raises(Kan2Error) as found:
        table["c" * 100_000]
    assert len(str(found.value)) < 500


def test_a_wide_row_below_a_header_is_refused_soon():
    start = time.process_time()
    with pytest.raises(DataError, match="got 2000001 in line 2"):
        of("a,b\n" + "1," * 2_000_000 + "\n")
    # It took seven times as long when every cell was looked at for a decimal comma.
    assert time.process_time() - start < 2.0
