"""Tables of laws of the benchmark `discovery`: how they are read, and that each law can be found in its rows at all."""

import numpy as np
import pytest
import scipy.constants
import torch

from case_studies._laws import DATA, ROWS, Column, Law, column, laws, read
from kan2.datasets import feynman
from kan2.expressions.evaluate import evaluate
from kan2.expressions.parse import parse_expression
from kan2.expressions.reference_values import reference_values
from kan2.units.reading import units_of

CONSTANTS = {
    "alpha": scipy.constants.fine_structure,
    "c": scipy.constants.c,
    "epsilon": scipy.constants.epsilon_0,
    "G": scipy.constants.G,
    "h": scipy.constants.h,
    "hbar": scipy.constants.hbar,
    "kb": scipy.constants.k,
    "m": scipy.constants.m_e,
    "q": scipy.constants.e,
}
ALL = [law for of in ROWS for law in laws(of)]
UNUSED = {("strogatz", "van der Pol 2"): {"y"}}  # the table of the authors has the column too


def test_a_column_says_how_it_is_drawn():
    assert column("theta:0.1:3") == Column("theta", 0.1, 3.0, False)
    assert column(" m_0~1e-30:1e-28 ") == Column("m_0", 1e-30, 1e-28, True)
    for wrong in ("x", "x:1", "x:2:1", "x~0:1", "x~-1:1", "x-1:2", "x:1:1"):
        with pytest.raises(ValueError, match="expected name:low:high"):
            column(wrong)


@pytest.mark.parametrize(
    ("drawn", "low", "high"), [(Column("x", 2, 4), 2, 5), (Column("x", 1, 100, True), 1, 10**2.5)], ids=["plain", "log"]
)
def test_ranges_go_on_upwards_by_half_their_width(drawn, low, high):
    short, long = (drawn.draw(20_000, np.random.default_rng(0), prolonged) for prolonged in (False, True))
    assert short.min() >= low
    assert short.max() <= drawn.high
    assert long.min() >= low
    assert high * 0.99 < long.max() <= high
    middle = np.sqrt(low * drawn.high) if drawn.is_log else (low + drawn.high) / 2
    assert np.mean(short < middle) == pytest.approx(0.5, abs=0.02)


def test_units_agree_in_all_equations_with_units():
    for law in laws("feynman"):
        assert set(law.units) == {*law.names, law.output}, law.name
        dimensions = units_of(law.units, law.names, law.output, {}).dimensions
        # Exact numbers have no unit, so neither has any other one.
        assert dimensions.of(law.expression) == dimensions.target, law.name
    assert laws("strogatz")[0].units == {}


def test_a_table_is_read(tmp_path):
    path = tmp_path / "textbook.csv"
    path.write_text('name,output,formula,variables,source,note\nmine,y,"a*exp(-b)",a~1:10;b:0:1,a book,"odd, rare"\n')
    assert read(path) == (
        Law("textbook", 0, "mine", "y", "a*exp(-b)", (Column("a", 1, 10, True), Column("b", 0, 1)), "a book",
            "odd, rare"),
    )  # fmt: skip
    with pytest.raises(ValueError, match="expected one of feynman, feynman_si, strogatz, textbook"):
        laws("textbooks")


def test_every_set_has_its_laws_and_every_table_is_a_set():
    assert [len(laws(of)) for of in ROWS] == [120, 120, 14, 30]
    assert {path.stem for path in DATA.glob("*.csv")} == {*ROWS, "feynman_units"} - {"feynman"}
    for of in ROWS:
        assert len({law.name for law in laws(of)}) == len(laws(of))
        assert [law.index for law in laws(of) if law.is_for_settings] == list(range(0, len(laws(of)), 3))
    assert all(law.output not in law.names for law in ALL)
    assert all(law.source for of in ("strogatz", "textbook") for law in laws(of))
    assert all(2 <= len(law.columns) <= 7 for law in laws("textbook"))


def test_rows_are_finite_and_depend_on_law_and_seed_alone():
    law = laws("feynman_si")[5]  # a relativistic mass: beyond c, where prolonged ranges reach, it is not real
    x, y = law.rows(50, seed=1, prolonged=True)
    again, _ = law.rows(50, seed=1, prolonged=True)
    other, _ = law.rows(50, seed=2, prolonged=True)
    plain, _ = law.rows(50, seed=1)
    assert np.isfinite(y).all()
    assert np.array_equal(x, again)
    assert not np.array_equal(x, other)
    assert not np.isin(x, plain).any()
    assert x[:, law.names.index("v")].max() > 2.7e8
    assert np.isnan(law.values(law.draw(200, np.random.default_rng(0), prolonged=True))).any()
    never = Law("textbook", 0, "never", "y", "sqrt(-1-x**2)", (Column("x", 0, 1),))
    with pytest.raises(ValueError, match="nowhere"):
        never.rows(10, 0)


@pytest.mark.parametrize("of", ROWS)
def test_laws_are_finite_and_every_column_matters(of):
    for law in laws(of):
        used = {symbol.name for symbol in law.expression.free_symbols}
        assert used == set(law.names) - UNUSED.get((of, law.name), set())
        x = law.draw(400, np.random.default_rng(0))
        y = law.values(x)
        assert np.isfinite(y).mean() >= 0.9, law.name
        assert not np.any(y == 0), law.name  # an exponential that nobody can see
        # Whatever is not finite here is what a column changes most.
        for j, name in enumerate(law.names):
            moved = x.copy()
            moved[:, j] = np.roll(moved[:, j], 1)
            change = np.abs(law.values(moved) / y - 1)
            share = np.mean(change[np.isfinite(change)] > 1e-6)
            assert share > 0.25 or name in UNUSED.get((of, law.name), ()), (law.name, name)
        # A second evaluation, by torch.
        columns = {name: torch.tensor(x[:, j]) for j, name in enumerate(law.names)}
        if law.name != "shear flow 1":  # a cotangent is no tensor function here
            torch.testing.assert_close(evaluate(law.expression, columns).numpy(), y, rtol=1e-9, atol=0, equal_nan=True)


def test_equations_in_si_units_are_those_of_feynman_with_the_constants_of_nature():
    for original, law in zip(feynman.with_units(), laws("feynman_si")):
        assert (original.name, original.output) == (law.name, law.output)
        assert set(law.names) <= set(original.ranges)
        constants = [name for name in original.ranges if name not in law.names]
        x = law.draw(20, np.random.default_rng(0))
        full = np.column_stack([x, *(np.full(20, CONSTANTS[name]) for name in constants)])
        names = [*law.names, *constants]
        expected = reference_values([parse_expression(original.formula, names)], names, full)[:, 0]
        # Editions of CODATA differ in the ninth digit.
        np.testing.assert_allclose(law.values(x), expected, rtol=1e-6, err_msg=law.name)
        if "v" in law.names and "c" in constants:
            assert {c.name: c.high for c in law.columns}["v"] <= 0.91 * scipy.constants.c
