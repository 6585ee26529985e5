"""A table in memory: columns as numbers, rows by conditions, what a repr shows."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kan2.errors import DataError, Kan2Error, UnknownNameError
from kan2.tables import Table, read

ARROW = pa.table(
    {
        "T": [280.0, 310.0, 350.0, None, float("nan")],
        "a": [1, 6, 3, 2, 5],
        "flow rate": [0.5, 1.5, 2.5, 3.5, 4.5],
        "element": ["Fe", "Ni", None, "Fe", "Cu"],
        "day": [datetime.date(2020, 1, d) for d in range(1, 6)],
        "on": [True, False, True, None, True],
    }
)
TABLE = Table(ARROW, {"T": "K", "a": "m/s"}, ("made in May",), "a.csv")


def kept(condition: str) -> list[int]:
    return TABLE.where(condition).arrow["a"].to_pylist()


def test_columns_as_numbers():
    assert TABLE.columns == tuple(ARROW.column_names) == tuple(TABLE)
    assert len(TABLE) == 5
    np.testing.assert_array_equal(TABLE["T"], [280, 310, 350, np.nan, np.nan])
    assert TABLE["a"].dtype == np.float64
    np.testing.assert_array_equal(TABLE["on"], [1, 0, 1, np.nan, 1])
    assert TABLE["a [m/s]"].tolist() == [1, 6, 3, 2, 5]
    assert "T" in TABLE
    assert "U" not in TABLE
    assert Table(pa.table({"d": [Decimal("1.5")]}))["d"].tolist() == [1.5]
    for name, match in (("element", "text in column 'element'"), ("day", "dates in column 'day'")):
        with pytest.raises(DataError, match=match):
            TABLE[name]
    for name in ("t", "a [km/h]"):
        with pytest.raises(UnknownNameError, match="table: unknown column"):
            TABLE[name]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("T > 300", [6, 3]),
        ("T > 300 and a < 5", [3]),
        ("T > 300 and (a < 5 or a == 6)", [6, 3]),
        ("not T > 300", [1]),
        ("not (T > 300 or a > 100)", [1]),
        ("T > 300 or a == 2", [6, 3, 2]),
        ("2 <= a < 6", [3, 2, 5]),
        ("a = 6", [6]),
        ("a <> 6", [1, 3, 2, 5]),
        ("`flow rate` >= 2.5", [3, 2, 5]),
        ("element == 'Fe'", [1, 2]),
        ("element != 'Fe'", [6, 5]),
        ('"Fe" == element', [1, 2]),
        ("not element == 'Fe'", [6, 5]),
        ("day >= '2020-01-04'", [2, 5]),
        ("'2020-01-02' > day", [1]),
        ("on == 1", [1, 3, 5]),
        ("a**2 - 6*a + 5 < 0", [3, 2]),
        ("sqrt(a) * 2 > a + pi/4", [1, 2]),
        ("|a - 3| < 1.5", [3, 2]),
        ("a > 2 & a < 6", [3, 5]),
        ("log(a - 3) > -100", [6, 5]),
        ("not log(a - 3) > -100", [3]),  # the logarithm of 0; of negative numbers there is none
        ("1 < 2", [1, 6, 3, 2, 5]),
        ("((a)) + (1) > (5)", [6, 5]),
        ("element == 'and'", []),
    ],
)
def test_conditions(condition, expected):
    assert kept(condition) == expected


@pytest.mark.parametrize(
    ("condition", "match"),
    [
        ("", "expected a condition"),
        ("T", "compares nothing"),
        ("T > ", "nothing on one side"),
        ("(T > 3", "not closed"),
        ("T > 3)", "not opened"),
        ("T > 3 and", "nothing beside 'and'"),
        ("t > 3", "unknown column 't'. Did you mean 'T'"),
        ("`flow` > 3", "Did you mean 'flow rate'"),
        ("element > 'Fe'", "text is equal or not"),
        ("a == 'Fe'", "holds no text"),
        ("element == 3", "text in column 'element'"),
        ("a + 'Fe' == 3", "text within"),
        ("day > 'soon'", "beside the dates"),
        ("a > 3 or __import__('os')", "."),
        ("a > 9**9**9**9", "range of float64"),
        ("(" * 60 + "a > 1" + ")" * 60, "more than 50 nested"),
        ("a > 1 and " * 3000 + "a > 1", "more than 20,000"),
    ],
)
def test_what_is_no_condition(condition, match):
    with pytest.raises(Kan2Error, match=match):
        TABLE.where(condition)


@given(
    values=st.lists(st.none() | st.floats(-5, 5), min_size=1, max_size=20),
    bounds=st.tuples(st.floats(-5, 5), st.floats(-5, 5)),
    join=st.sampled_from(["and", "or"]),
)
def test_conditions_are_those_of_python(values, bounds, join):
    table = Table(pa.table({"x": pa.array(values, pa.float64()), "i": range(len(values))}))
    low, high = bounds
    rows = table.where(f"x > {low!r} {join} not x < {high!r}").arrow["i"].to_pylist()
    one = (lambda x: x > low and not x < high) if join == "and" else (lambda x: x > low or not x < high)
    assert rows == [i for i, x in enumerate(values) if x is not None and one(x)]


def test_missing_rows_are_dropped():
    assert TABLE.missing("T") == 2
    assert TABLE.missing("element") == 1
    assert len(TABLE.drop_missing()) == 2
    assert len(TABLE.drop_missing(["a"])) == 5
    assert TABLE.drop_missing(["T"])["a"].tolist() == [1, 6, 3]
    assert TABLE.drop_missing("T").units == TABLE.units
    with pytest.raises(DataError, match="got none of 5; 'x' misses 5"):
        Table(pa.table({"x": pa.nulls(5, pa.float64()), "y": range(5)})).drop_missing()


def test_parts_of_a_table():
    part = TABLE.select(["a", "T"])
    assert part.columns == ("a", "T")
    assert part.units == {"a": "m/s", "T": "K"}
    assert TABLE.select("element").units == {}
    assert len(TABLE.head(2)) == 2
    assert len(TABLE.head(100)) == 5
    with pytest.raises(UnknownNameError, match="select: unknown column 'b'"):
        TABLE.select(["b"])
    with pytest.raises(DataError, match="n >= 0"):
        TABLE.head(-1)


def test_what_a_repr_shows():
    assert repr(TABLE) == (
        "Table(5 rows: T [K] (2 missing), a [m/s], flow rate, element (text, 1 missing), day (date), "
        "on (truth value, 1 missing))"
    )
    html = Table(pa.table({"<b>": [1.0]}), {"<b>": "&"})._repr_html_()
    assert "<b>" not in html
    assert "<td>&lt;b&gt;</td><td>&amp;</td><td>number</td>" in html
    wide = Table(pa.table({f"x{i}": [1] for i in range(100)}))
    assert repr(wide).endswith("and 88 more)")
    assert wide._repr_html_().count("<tr>") == 51


def test_describing():
    found = TABLE.describe()
    assert found.columns == ("column", "unit", "type", "missing", "min", "max", "mean", "std")
    row = found.arrow.to_pylist()[0]
    assert (row["column"], row["unit"], row["missing"], row["min"], row["max"]) == ("T", "K", 2, 280, 350)
    assert row["mean"] == pytest.approx(940 / 3)
    assert row["std"] == pytest.approx(np.std([280, 310, 350]))
    assert set(TABLE.to_columns()) == {"T", "a", "flow rate", "on"}


def test_other_frames_take_it():
    assert pl.DataFrame(TABLE).columns == list(TABLE.columns)
    assert pa.table(TABLE).drop_columns("T").equals(ARROW.drop_columns("T"))
    assert read(TABLE, columns=["a"]).units == {"a": "m/s"}
    assert isinstance(pa.table(TABLE).to_pandas(), pd.DataFrame)
