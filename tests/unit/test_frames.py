"""One rule for what is a number, in frames of any kind, for data sets, networks and estimators alike."""

import datetime
import decimal
import fractions

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import sympy
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from kan2 import Dataset, MultKAN
from kan2.errors import DataError, Kan2Error, NumberError, UnknownNameError
from kan2.estimators import KANClassifier, KANRegressor
from kan2.tables.frames import arrow_of, is_frame, matrix, named_columns, numbers

PANDAS = pd.DataFrame({"a": [1, 2], "b": [True, False], "c": [1.5, None]})
FRAMES = {
    "pandas": PANDAS,
    "nullable": PANDAS.convert_dtypes(),
    "pandas on arrow": PANDAS.convert_dtypes(dtype_backend="pyarrow"),
    "polars": pl.DataFrame({"a": [1, 2], "b": [True, False], "c": [1.5, None]}),
    "arrow": pa.table({"a": [1, 2], "b": [True, False], "c": [1.5, None]}),
    "batch": pa.record_batch({"a": [1, 2], "b": [True, False], "c": [1.5, None]}),
    "dict": {"a": [1, 2], "b": [True, False], "c": [1.5, None]},
    "structured": np.array([(1, True, 1.5), (2, False, np.nan)], dtype=[("a", int), ("b", bool), ("c", float)]),
    "xarray": xr.Dataset({"b": ("a", [1, 0]), "c": ("a", [1.5, np.nan])}, coords={"a": [1, 2]}),
}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_of_all_kinds_give_the_same_numbers(kind):
    columns = named_columns(FRAMES[kind])
    assert columns is not None
    assert list(columns) == ["a", "b", "c"]
    np.testing.assert_array_equal(matrix(columns, ["c", "a", "b"], "X"), [[1.5, 1, 1], [np.nan, 2, 0]])
    np.testing.assert_array_equal(numbers(FRAMES[kind], "X"), [[1, 1, 1.5], [2, 0, np.nan]])
    assert arrow_of(columns, ["b"], "X").to_pydict() == {"b": [1.0, 0.0]}


@pytest.mark.parametrize("values", [np.ones((2, 2)), torch.ones(2, 2), [[1.0]], pd.Series([1.0]), pl.Series([1.0]), 3,
                                    None, "text", xr.DataArray([1.0]), pa.array([1.0]), pa.chunked_array([[1.0]])],
                         ids=lambda v: type(v).__name__)  # fmt: skip
def test_arrays_have_no_names(values):
    assert named_columns(values) is None
    assert not is_frame(values)


def test_labels_that_are_numbers_are_no_names():
    frame = pd.DataFrame([[1.0, 2.0]])
    assert named_columns(frame) is None
    assert is_frame(frame)
    assert Dataset.of((frame, [0.0])).inputs == ("x1", "x2")
    with pytest.raises(DataError, match="names of columns that are text, got 3"):
        named_columns(pd.DataFrame([[1.0, 2.0]], columns=["a", 3]))


def test_repeated_names_are_refused():
    with pytest.raises(DataError, match="'a' more than once"):
        named_columns(pd.DataFrame([[1.0, 2.0]], columns=["a", "a"]))


def test_the_points_of_a_grid_are_rows():
    grid = xr.Dataset(
        {"u": (("t", "x"), np.arange(6.0).reshape(2, 3)), "v": ("x", [1.0, 2, 3])}, coords={"t": [0.0, 1]}
    )
    columns = named_columns(grid)
    assert columns is not None
    assert {name: column.tolist() for name, column in columns.items()} == {
        "t": [0, 0, 0, 1, 1, 1], "u": [0, 1, 2, 3, 4, 5], "v": [1, 2, 3, 1, 2, 3]
    }  # fmt: skip


DAY = datetime.date(2020, 1, 2)
STAMPS = pd.date_range("2020-01-01", periods=3, freq="h")
REFUSED = {
    "dates": [pd.Series(STAMPS), pd.Series(STAMPS.tz_localize("UTC")), pl.Series(STAMPS), pa.array(STAMPS), [DAY] * 3,
              pd.Series(STAMPS).astype("timestamp[ns][pyarrow]"), np.array(["2020"] * 3, "M8[D]"), [STAMPS[0]] * 3],
    "times of day": [pl.Series([datetime.time(1)] * 3), pa.array([datetime.time(1)] * 3), [datetime.time(1)] * 3],
    "durations": [pd.Series(pd.to_timedelta([1, 2, 3], "h")), pa.array(pd.to_timedelta([1, 2, 3], "h")),
                  pl.Series([datetime.timedelta(1)] * 3), np.array([1, 2, 3], "m8[s]"), [datetime.timedelta(1)] * 3],
    "complex numbers": [np.array([1, 2, 3j]), pd.Series([1, 2, 3j]), [1, 2, 3j], torch.tensor([1, 2, 3j]),
                        np.array([1, 2, 3j], dtype=object)],
    "text": [["1", "2", "3"], np.array(["1.5", "2", "3"]), pd.Series(["a", "b", "c"]), pl.Series(["a", "b", "c"]),
             pa.array(["a", "b", "c"]), pd.Series(["1", "2", "3"], dtype="string"), [b"1", b"2", b"3"], [1, 2, "3"]],
    "categories": [pd.Series([1, 2, 1], dtype="category"), pl.Series(["a", "b", "a"], dtype=pl.Categorical),
                   pa.array(["a", "b", "a"]).dictionary_encode()],
    "masked values": [np.ma.masked_greater([1.0, 2, 3], 2)],
    "nested values": [pl.Series([[1], [2], [3]]), pa.array([{"a": 1}] * 3)],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("kind", "values"), [(kind, v) for kind, some in REFUSED.items() for v in some],
                         ids=lambda v: v if isinstance(v, str) else type(v).__name__)  # fmt: skip
def test_what_is_no_number_is_refused_by_all_doors_alike(kind, values):
    y = [0.0, 1.0, 2.0]
    if not isinstance(values, torch.Tensor):
        with pytest.raises(NumberError, match=f"expected numbers, got {kind}") as caught:
            numbers(values, "X", "t")
        assert caught.value.kind == kind
        assert "column 't'" in str(caught.value)
    column = values if isinstance(values, torch.Tensor) else {"t": values}
    column = column[:, None] if isinstance(column, torch.Tensor) else column
    for call in (
        lambda: Dataset.of((column, y)),
        lambda: Dataset.of((np.ones((3, 1)), values)),
        lambda: MultKAN([1, 1]).fit((column, y)),
        lambda: MultKAN([1, 1], inputs=["t"]).predict(column),
        lambda: MultKAN([1, 1], inputs=["t"])(column),
        lambda: MultKAN([1, 1]).fit((np.ones((3, 1)), values)),
    ):
        with pytest.raises(Kan2Error, match=kind):
            call()
    if not isinstance(values, torch.Tensor):
        for estimator in (KANRegressor(), KANClassifier()):
            with pytest.raises(NumberError, match=kind):
                estimator.fit(column, [0, 1, 0])
        if kind != "nested values":
            with pytest.raises(NumberError, match=kind):
                KANRegressor().fit(np.ones((3, 1)), values)


def test_numbers_of_any_class_are_read():
    given_ = [
        decimal.Decimal("1.5"),
        fractions.Fraction(1, 2),
        sympy.Rational(1, 4),
        np.float32(2),
        True,
        None,
        10**400,
    ]
    expected = [1.5, 0.5, 0.25, 2.0, 1.0, np.nan, np.inf]
    np.testing.assert_array_equal(numbers(given_, "X"), expected)
    np.testing.assert_array_equal(numbers(pa.array([decimal.Decimal("1.5"), None]), "X"), [1.5, np.nan])
    np.testing.assert_array_equal(numbers(np.ma.array([1.0, 2.0]), "X"), [1, 2])


@pytest.mark.parametrize(
    "values", [object(), {"a": object()}, [[1], [1, 2]], [{}], scipy.sparse.eye(2), [sympy.Symbol("x")]]
)
def test_other_objects_are_refused(values):
    with pytest.raises(DataError, match="expected numbers"):
        numbers(values, "X")


@given(st.lists(st.floats(allow_nan=True) | st.integers(-(2**53), 2**53) | st.booleans(), min_size=1))
def test_numbers_are_what_float_says(values):
    np.testing.assert_array_equal(numbers(values, "X"), [float(value) for value in values])
    np.testing.assert_array_equal(numbers(np.array(values, dtype=object), "X"), [float(value) for value in values])


def test_what_the_caller_does_later_does_not_matter():
    series = pd.Series([1.0, 2.0])
    values, found = series.to_numpy(copy=True), numbers(series, "X")
    found[0] = 9.0
    assert series.tolist() == values.tolist()


def test_a_missing_column_is_named():
    with pytest.raises(UnknownNameError, match=r"unknown column 'temprature'\. Did you mean 'temperature'"):
        matrix({"temperature": [1.0]}, ["temprature"], "X")
    with pytest.raises(DataError, match=r"columns of equal length, got shape \(3,\) in 'b' beside \(2,\) in 'a'"):
        matrix({"a": [1.0, 2], "b": [1.0, 2, 3]}, ["a", "b"], "X")


def test_labels_of_other_kinds_are_refused():
    labels = [[("q", ""), ("p", "")], [b"q", b"p"], [True, False], [DAY, STAMPS[0].date()], [sympy.Symbol("q"), "p"]]
    for columns in labels:
        with pytest.raises(DataError, match="names of columns that are text"):
            named_columns(pd.DataFrame([[1.0, 2.0]], columns=pd.Index(columns, dtype=object)))


def test_arrays_of_xarray_with_labels_have_names():
    array = xr.DataArray(np.arange(4.0).reshape(2, 2), dims=("row", "column"), coords={"column": ["q", "p"]})
    columns = named_columns(array)
    assert columns is not None
    assert {name: column.tolist() for name, column in columns.items()} == {"q": [0, 2], "p": [1, 3]}
    beside = xr.Dataset({"y": ("i", [1.0, 2.0])}, coords={"p": ("i", [3.0, 4.0])})
    assert list(named_columns(beside) or ()) == ["p", "y"]


def test_streams_queries_columns_of_one_and_numbers_alone():
    reader = pa.RecordBatchReader.from_batches(
        pa.schema([("a", "f8"), ("y", "f8")]), [pa.record_batch({"a": [1.0, 2.0], "y": [1.0, 2.0]})]
    )
    assert len(Dataset.of(reader, target="y")) == 2
    with pytest.raises(DataError, match=r"Call its \.collect\(\) first"):
        Dataset.of(pl.LazyFrame({"a": [1.0]}), target="a")
    np.testing.assert_array_equal(matrix({"a": np.ones((2, 1)), "b": [1, 2]}, ["a", "b"], "X"), [[1, 1], [1, 2]])
    with pytest.raises(DataError, match=r"a list of values in 'a', got shape \(\)"):
        matrix({"a": 1.0}, ["a"], "X")


@pytest.mark.parametrize("kind", ["csr_array", "dok_array", "dok_matrix", "coo_matrix"])
def test_sparse_matrices_of_all_kinds_are_no_frames(kind):
    matrix_ = getattr(scipy.sparse, kind)(np.eye(2))
    assert named_columns(matrix_) is None
    with pytest.raises(NumberError, match="sparse columns"):
        numbers(matrix_, "X")
