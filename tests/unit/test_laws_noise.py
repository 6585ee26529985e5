"""Under noise: targets over decades, exponents that are columns, numbers that are the same, outliers, jumps."""

import numpy as np
import pytest
import sympy
import torch

import kan2
from kan2.discovery.progress import Reporter
from kan2.laws.column import Column
from kan2.laws.families.catalogue import CATALOGUE
from kan2.laws.families.fit import Curve
from kan2.laws.families.jumps import with_jumps_placed
from kan2.laws.families.search import best_curves
from kan2.laws.formulas import Formulas
from kan2.laws.front.complexity import complexity, nats
from kan2.laws.front.front import Front, Row, row_of, settled
from kan2.laws.front.polish import values
from kan2.laws.noisy.dictionary import Dictionary, factors, terms
from kan2.laws.noisy.products import products
from kan2.laws.noisy.reduce import Noisy, error_of
from kan2.laws.noisy.smooth import coordinate
from kan2.laws.noisy.sums import sums
from kan2.laws.samples import samples_of
from kan2.laws.search import same_random_state
from kan2.laws.wanted import checked_loss
from tests.laws import columns_of, values_of

X, Y, T = sympy.symbols("x y t")
DECADES = {
    "A*exp(-E/(8.314*T))": {"A": (1e10, 1e12), "E": (4e4, 1e5), "T": (280, 400)},
    "b*M**0.75*exp(-E/(8.617e-5*T))": {"b": (1e7, 1e8), "M": (1, 100), "E": (0.5, 0.8), "T": (273, 313)},
    "10**(A - B/(C + T))": {"A": (6.8, 8.2), "B": (1000, 2000), "C": (200, 250), "T": (0, 150)},
    "p*exp(-H/8.314*(1/U - 1/T))": {"p": (0.1, 10), "H": (2e4, 5e4), "T": (280, 400), "U": (280, 400)},
}
EXPONENTS = {
    "c*L**n/(K**n + L**n)": {"c": (0.5, 2), "L": (1, 30), "K": (1, 30), "n": (1, 4)},
    "P*r/(1 - (1 + r)**(-n))": {"P": (1e4, 1e5), "r": (0.002, 0.02), "n": (12, 360)},
}


def noisy(law: str, ranges: dict, n: int = 400, noise: float = 0.01, seed: int = 0) -> Noisy:
    columns = columns_of(ranges, n, seed)
    y = values_of(law, columns)
    y = y + noise * y.std() * np.random.default_rng(seed + 1).standard_normal(n)
    return Noisy(tuple(Column(v, sympy.Symbol(name)) for name, v in columns.items()), y, np.ones(n))


def near(table: Noisy, found: sympy.Expr, law: str) -> float:
    """The error of a formula times the best number, against the law, in deviations."""
    symbols = tuple(sympy.Symbol(str(c.expression)) for c in table.columns)
    X = np.column_stack([c.values for c in table.columns])
    value, right = values(found, symbols, X), values_of(law, {s.name: x for s, x in zip(symbols, X.T)})
    return float(np.std(value * (value @ right) / (value @ value) - right) / right.std())


@pytest.mark.parametrize(("law", "ranges"), DECADES.items())
def test_a_product_over_decades_is_found_though_small_rows_are_lost(law, ranges):
    table = noisy(law, ranges)
    assert table.sign == 0
    assert table.main_sign == 1
    noise = error_of(table)[0]
    best = min(
        near(table, one, law) for one in products(table.columns, table.y, table.weight, factors(table.columns), noise)
    )
    assert best < 0.003


def test_a_sign_is_told_by_the_rows_that_count():
    y = np.r_[np.linspace(1, 2, 90), -0.01 * np.ones(10)]
    table = Noisy((Column(np.arange(100.0), X),), y, np.ones(100))
    assert (table.sign, table.main_sign) == (0, 1)
    assert (table.sizes > 0).all()
    assert table.sizes[:90] == pytest.approx(y[:90])
    assert Noisy(table.columns, -y, table.weight).main_sign == -1
    assert Noisy(table.columns, np.where(y > 1.5, y, -y), table.weight).main_sign == 0
    assert Noisy(table.columns, np.abs(y), table.weight).sizes == pytest.approx(np.abs(y), rel=1e-15)


def test_coordinates_are_logarithms_where_the_rows_are_spread_so():
    even, log = np.linspace(0.001, 20, 200), np.geomspace(0.001, 20, 200)
    assert np.diff(coordinate(even)) == pytest.approx(2 / 199)
    assert np.diff(coordinate(log)) == pytest.approx(2 / 199)


@pytest.mark.parametrize(("law", "ranges"), EXPONENTS.items())
def test_a_column_may_be_an_exponent(law, ranges):
    first, *rest = ranges  # a factor
    table = noisy(law, {**ranges, first: (1, 1.0000001)}, noise=0.001)
    columns = table.columns[1:] if len(rest) < 3 else (
        Column(table.columns[1].values / table.columns[2].values, sympy.Symbol("u")), table.columns[3]
    )  # fmt: skip
    y, left = 1 / table.y, []
    for group in terms(columns):
        for dictionary in group:
            left += [one.left for one in sums(dictionary, y, table.y**4) if one.size == 2]
    assert min(left) < 1e-5


def test_terms_that_nearly_cancel_are_found():
    rng = np.random.default_rng(0)
    V = rng.standard_normal((100, 40))
    V[:, 1] = V[:, 0] + 0.01 * V[:, 1]
    V[:, 2] = 100 * (V[:, 0] - V[:, 1]) + 0.02 * V[:, 2]
    y = V[:, 0] - V[:, 1] + 0.01 * V[:, 3] + 1e-5 * rng.standard_normal(100)
    made = Dictionary(V, tuple((lambda k=k: sympy.Symbol(f"v{k}")) for k in range(40)))
    best = min((one for one in sums(made, y, np.ones(100)) if one.size == 3), key=lambda one: one.left)
    assert {str(write()) for _, write in best.above} == {"v0", "v1", "v3"}


def test_columns_of_zeros_are_no_trouble():
    x = np.r_[np.zeros(60), np.linspace(1, 2, 40)]
    made = factors((Column(x, X), Column(np.linspace(1, 2, 100), Y)))
    assert np.isfinite(made.logarithms).all()


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_a_logarithm_of_a_whole_number_counts_as_pi_does():
    ten = sympy.log(10)
    assert complexity(X * ten) == complexity(X * sympy.pi)
    assert nats([sympy.log(X) / ten], 400, 1) < nats([10 * sympy.log(X) / 23], 400, 1)


@pytest.mark.parametrize("seed", range(4))
def test_a_decimal_logarithm_is_one(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.uniform(3, 10, 400), 10 ** rng.uniform(-3, 0, 400)
    y = a + np.log10(b)
    samples = samples_of(np.column_stack([a, b]), y + 0.01 * y.std() * rng.standard_normal(400), (X, Y))
    row = row_of(X + sympy.Float(0.434) * sympy.log(Y), (), samples)
    assert row is not None
    with same_random_state():
        assert settled(row, samples).formula == X + sympy.log(Y) / sympy.log(10)


def test_numbers_that_are_the_same_become_one():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(1, 2, (2, 300))
    z = np.exp(1.2345 * (1 / x - 1 / y))
    samples = samples_of(np.column_stack([x, y]), z + 0.01 * z.std() * rng.standard_normal(300), (X, Y))
    row = row_of(sympy.Float(1.01) * sympy.exp(1.25 / X) * sympy.exp(-1.2 / Y), (), samples)
    assert row is not None
    (number,) = settled(row, samples).numbers
    assert abs(number.value) == pytest.approx(1.2345, rel=0.01)


def test_different_numbers_stay_different():
    rng = np.random.default_rng(0)
    x, y = rng.uniform(1, 2, (2, 300))
    z = np.exp(1.2345 / x - 1.5432 / y)
    samples = samples_of(np.column_stack([x, y]), z + 0.01 * z.std() * rng.standard_normal(300), (X, Y))
    row = row_of(sympy.exp(1.25 / X) * sympy.exp(-1.5 / Y), (), samples)
    assert row is not None
    assert sorted(abs(n.value) for n in settled(row, samples).numbers) == pytest.approx([1.2345, 1.5432], rel=0.02)


# -- outliers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [50.0, 1e6])
def test_outliers_do_not_decide_what_is_shorter(size):
    rng = np.random.default_rng(1)
    x = rng.uniform(1, 2, 60)
    y = 2 * x + 0.01 * rng.standard_normal(60)
    y[::15] += size
    loss = checked_loss(torch.nn.HuberLoss(delta=0.05), None)
    samples = samples_of(x[:, None], y, (X,), loss=loss)
    constant, line = (row_of(e, (), samples) for e in (sympy.Float(3.0), 2.01 * X))
    assert constant is not None
    assert line is not None
    assert line.description_length < constant.description_length - 50


def test_an_error_of_squares_is_not_cut():
    samples = samples_of(np.arange(40.0)[:, None], np.r_[np.zeros(39), 100.0], (X,))
    assert samples.error_cut(np.zeros(40)) == samples.error(np.zeros(40))


# -- jumps -------------------------------------------------------------------------------------------------------------


def jump(noise: float, n: int = 160):
    t = np.linspace(-3, 3, n)
    y = np.where(t >= 0.3, 2.0, -1.0)
    return t, y + noise * y.std() * np.random.default_rng(1).standard_normal(n)


def test_all_rows_tell_where_a_jump_is():
    t, y = jump(0.0)
    samples = samples_of(t[:, None], y, (T,))
    gap = np.flatnonzero(samples.kept)
    k = gap[np.argmin(np.abs(t[gap] - 0.3))]
    for place in (t[k] - 1e-3, t[k] + 1e-3):
        placed = with_jumps_placed(3 * sympy.Heaviside(T - sympy.Float(place)) - 1, samples)
        assert np.sum(values(placed, (T,), t[:, None]) != y) <= abs(round((t[k] - 0.3) / (t[1] - t[0])))


def test_other_formulas_keep_their_places():
    t, y = jump(0.0)
    samples = samples_of(t[:, None], y, (T,))
    for formula in (T**2 + 1, sympy.Heaviside(T**2 - 1), sympy.Heaviside(sympy.Integer(1)) + T):
        assert with_jumps_placed(formula, samples) == formula


def test_a_steep_curve_tells_no_steepness():
    t, y = jump(0.0)
    (logistic,) = (family for family in CATALOGUE if family.name == "a logistic curve")
    steep, gentle = (Curve(logistic, ((0.3, k),), (), np.array([3.0]), 0.0) for k in (1000.0, 3.0))
    assert not steep.is_told_by(t)
    assert gentle.is_told_by(t)
    assert all(curve.is_told_by(t) for curve in best_curves(t, y + 0.01 * np.sin(70 * t), np.ones(len(t))))


def test_what_no_row_tells_hides_no_other_formula():
    rows = [Row((X,), 1, 1.0, 5.0), Row((X + 1,), 3, 0.1, np.inf), Row((X + 2,), 5, 0.11, -100.0)]
    front = Front.of(rows)
    assert front.pick is rows[2]
    assert rows[1] not in list(front)
    assert Front.of(rows[1:2]).pick is rows[1]


@pytest.mark.slow
def test_a_jump_is_found():
    t, y = jump(0.02)
    law = kan2.discover({"t": t, "y": y}, target="y", networks=False)
    assert law.found
    assert str(law.formula) == "3*Heaviside(t - 3/10) - 1"


@pytest.mark.slow
def test_a_law_is_found_in_rows_that_are_mostly_lost():
    law, ranges = next(iter(DECADES.items()))
    table = noisy(law, ranges, n=500)
    columns = {str(c.expression): c.values for c in table.columns}
    found = kan2.discover({**columns, "z": table.y}, target="z", networks=False)
    assert found.found
    right = values_of(law, columns)
    assert np.std(found.predict(columns)[:, 0] - right) < 0.003 * right.std()
    assert len(found.uncertainties) <= 1


@pytest.mark.parametrize("work", [5, 50])
def test_a_low_limit_of_work_does_not_end_the_search_at_once(work):
    rng = np.random.default_rng(0)
    samples = samples_of(rng.uniform(1, 2, (100, 1)), rng.standard_normal(100), (X,))
    given = {"work": work, "library": None, "constants": ()}
    formulas = Formulas(samples, given, Reporter(1, None, ()))
    formulas.add(sympy.Float(1.0), ("a constant",))
    pulled = []
    formulas._find_noisy((pulled.append(i) or [] for i in range(10)), 1.0)
    assert len(pulled) == 10
