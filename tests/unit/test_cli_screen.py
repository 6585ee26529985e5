"""Tables on the terminal: lines fit, and no word is broken."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from case_studies._base import CaseResult, Row
from kan2.cli.screen import lines, pairs, show

WORD = st.text(alphabet="abc()*+-./", min_size=1, max_size=12)
CELL = st.lists(WORD, max_size=8).map(" ".join)
TABLE = st.integers(1, 5).flatmap(
    lambda n: st.tuples(
        st.lists(WORD, min_size=n, max_size=n),
        st.lists(st.lists(CELL, min_size=n, max_size=n), min_size=1, max_size=4),
    )
)


@given(table=TABLE, width=st.sampled_from([20, 40, 80, 200]))
def test_lines_fit_and_words_are_whole(table, width):
    columns, rows = table
    found = lines(columns, rows, width)
    whole = {w for cells in ([*columns], *rows) for cell in cells for w in cell.split()}
    longest = max(map(len, whole), default=0)
    # Stacked, a word stands behind the name of its column or two blanks.
    assert all(len(line) <= max(width, longest + max(map(len, columns)) + 2) for line in found)
    for line in found:
        assert all(word in whole or word.rstrip(":") in whole or set(word) == {"-"} for word in line.split()), line
    shown = " ".join(found).split()
    for cell in (cell for row in rows for cell in row):
        assert all(word in shown for word in cell.split())


def test_wide_tables_stand_side_by_side_and_narrow_ones_are_stacked():
    columns, rows = ["name", "formula"], [["planets", "T=365.256*a**(3/2)"], ["x", "y"]]
    assert lines(columns, rows, 80) == [
        "name     formula",
        "-------  ------------------",
        "planets  T=365.256*a**(3/2)",
        "x        y",
    ]
    assert lines(columns, rows, 20) == [
        "name: planets",
        "formula:",
        "  T=365.256*a**(3/2)",
        "",
        "name: x",
        "formula: y",
    ]


def test_numbers_are_aligned_on_the_right():
    assert lines(["n"], [["1"], ["100"]], 10, right=("n",)) == ["  n", "---", "  1", "100"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_what_is_printed_is_what_the_lines_are(width):
    text = io.StringIO()
    console = Console(file=text, width=width)
    show(["[bold]a", "b"], [["[red]1 2", "x" * 60]], console=console, title="title [x]")
    pairs([("name", "[i]a b"), ("none", None)], console)
    printed = text.getvalue()
    assert "[bold]a" in printed
    assert "x" * 60 in printed
    assert "name:" in printed
    assert "none" not in printed
    assert "\x1b" not in printed


@pytest.mark.parametrize("width", [40, 80, 200])
def test_tables_of_case_studies_break_no_words(width):
    result = CaseResult("study")
    found = "exp(-3.14159265358979*viscosity)*sin(6.28318530717959*x)"
    task = "heat equation, longwordedness"
    result.rows = [Row(task, found, 1e-9, "relative", "1e-6 uninterruptedly", True, 3.0, "paper", 2e-9, 2, 3)]
    text = io.StringIO()
    result.show(Console(file=text, width=width))
    words = text.getvalue().split()
    for word in (*task.split(), found, "uninterruptedly", "relative", "2.0e-09"):
        assert word in words, text.getvalue()
