"""The search for an exact law: what it finds holds outside of the range, it is repeatable, and it can be ended."""

import signal
from collections.abc import Mapping

import numpy as np
import pytest
import sympy

from kan2.interrupts import OutOfTime, time_limit
from kan2.laws.column import Column, Table
from kan2.laws.forms import shortest
from kan2.laws.front.complexity import complexity
from kan2.laws.recursion import Search
from kan2.laws.search import find_law
from tests.laws import columns_of, found_in, is_close, table_of, values_of, wider

POSITIVE = {"x": (0.5, 3.0), "y": (1.0, 4.0)}
SIGNED = {"x": (-2.0, 2.0), "y": (-3.0, 1.5)}
LAWS: dict[str, Mapping[str, tuple[float, float]]] = {
    "2*x + 1": {"x": (0, 5)},
    "x**3 - x": {"x": (-2, 2)},
    "1/(1 + x**2)": {"x": (-2, 2)},
    "exp(-x**2/2)/sqrt(2*pi)": {"x": (-2, 2)},
    "x + sin(2*x)": {"x": (-3, 3)},
    "tanh(x)": {"x": (-2, 2)},
    "x*exp(x)": {"x": (-2, 2)},
    "exp(0.37*x)": {"x": (-2, 2)},
    "log(1 + 3*x)": {"x": (0, 2)},
    "3*x**Rational(3, 2)/sqrt(y)": POSITIVE,
    "x*y/(x + y)": POSITIVE,
    "sqrt(x**2 + y**2)": SIGNED,
    "x*exp(-y)": SIGNED,
    "1 + x*cos(y)": SIGNED,
    "log(x/y)": POSITIVE,
    "x**y": POSITIVE,
    "(x**2 + x*y)/(7 + y)": SIGNED,
    "x*y + z**2/2": {**SIGNED, "z": (-1, 1)},
    "(x - y)/(1 + x*z)": {**POSITIVE, "z": (0, 2)},
    "x*y*(1 - z)/w": {**POSITIVE, "z": (0, 2), "w": (1, 2)},
}


@pytest.mark.parametrize("law", LAWS)
def test_laws_hold_outside_of_the_range(law):
    columns = columns_of(LAWS[law])
    found = found_in(columns, values_of(law, columns))
    assert found is not None
    away = columns_of(wider(LAWS[law]), seed=1)
    assert is_close(values_of(found, away), values_of(law, away), 1e-8)


@pytest.mark.parametrize("law", ["x*y/(x + y)", "x*exp(-y)", "1 + x*cos(y)"])
def test_the_same_seed_gives_the_same_law(law):
    columns = columns_of(LAWS[law])
    y = values_of(law, columns)
    assert len({str(found_in(columns, y, seed=3)) for _ in range(2)}) == 1


@pytest.mark.parametrize("k", [-30, -12, 12, 30])
@pytest.mark.parametrize("law", ["x*y/(x + y)", "x*exp(-y)", "(x**2 + x*y)/(7 + y)"])
def test_laws_hold_in_all_units_of_the_target(law, k):
    columns = columns_of(LAWS[law])
    found = found_in(columns, values_of(law, columns) * 10.0**k)
    assert found is not None
    away = columns_of(wider(LAWS[law]), seed=1)
    assert is_close(values_of(found, away), values_of(law, away) * 10.0**k, 1e-8)


@pytest.mark.parametrize("k", [-30, -12, 12, 30])
def test_laws_hold_in_all_units_of_the_columns(k):
    columns = {name: v * 10.0**k for name, v in columns_of(POSITIVE).items()}
    away = {name: v * 10.0**k for name, v in columns_of(wider(POSITIVE), seed=1).items()}
    for law in ("x*y/(x + y)", "sqrt(x**2 + y**2)", "log(x/y)", "exp(-x/y)"):
        found = found_in(columns, values_of(law, columns))
        assert found is not None
        assert is_close(values_of(found, away), values_of(law, away), 1e-8)


@pytest.mark.parametrize("k", [10, 30])
def test_laws_are_written_the_same_in_all_units(k):
    columns = {name: v * 10.0**k for name, v in columns_of(POSITIVE).items()}
    found = found_in(columns, values_of("x*y/(x + y)", columns))
    x, y = sympy.symbols("x y")
    assert found == x * y / (x + y)


def test_what_is_left_out_of_a_law_does_not_matter():
    columns = columns_of({**POSITIVE, "z": (-3, 3), "w": (1e5, 2e5)})
    found = found_in(columns, values_of("x*y/(x + y)", columns))
    assert found is not None
    assert found.free_symbols == set(sympy.symbols("x y"))


@pytest.mark.slow
@pytest.mark.parametrize("n", [8, 12, 20])
def test_a_few_rows_do(n):
    columns = {name: v[:n] for name, v in columns_of(POSITIVE).items()}
    found = found_in(columns, values_of("x*y + 1", columns))
    away = columns_of(wider(POSITIVE), seed=1)
    assert is_close(values_of(found, away), values_of("x*y + 1", away))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_handful_of_rows_has_no_law_of_two_columns_and_no_warnings(n):
    columns = {name: v[:n] for name, v in columns_of(POSITIVE).items()}
    assert found_in(columns, np.random.default_rng(0).standard_normal(n), seconds=0.1) is None


def test_random_numbers_have_no_law():
    y = np.random.default_rng(0).standard_normal(60)
    columns = {name: v[:60] for name, v in columns_of(POSITIVE).items()}
    assert found_in(columns, y, seconds=0.1) is None


@pytest.mark.parametrize("odd", ["a b", "lambda", "E", "I", "S", "pi", "x-y", "1", "sin", "", "é", "N"])
def test_names_of_columns_are_only_names(odd):
    columns = {odd: columns_of(POSITIVE)["x"], "w": columns_of(POSITIVE)["y"]}
    found = found_in(columns, columns[odd] * columns["w"] + columns["w"] ** 2)
    first, second = sympy.Symbol(odd), sympy.Symbol("w")
    assert found is not None
    assert sympy.expand(found - first * second - second**2) == 0


def test_ctrl_c_leaves_the_search():
    def tell(line: str) -> None:
        raise KeyboardInterrupt

    columns = columns_of(POSITIVE, 60)
    with pytest.raises(KeyboardInterrupt):
        found_in(columns, values_of("x*y + 1", columns), tell=tell)


@pytest.mark.parametrize("step", [0, 1])
def test_a_signal_in_its_midst_leaves_the_search(step):
    columns = columns_of(POSITIVE, 24)
    X, y = np.column_stack(list(columns.values())), np.sin(np.arange(24.0) ** 2)
    told: list[str] = []

    def interrupt(line: str) -> None:
        # From here, since one that comes while a finalizer runs is lost.
        told.append(line)
        if len(told) > step:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        find_law(X, y, ("x", "y"), tell=interrupt)
    assert len(told) == step + 1


def test_a_time_limit_ends_the_search():
    columns = columns_of(POSITIVE, 60)
    X, y = np.column_stack(list(columns.values())), np.sin(np.arange(60.0) ** 2)
    with pytest.raises(OutOfTime), time_limit(0.0):
        find_law(X, y, ("x", "y"))


def test_what_is_done_is_told():
    told: list[str] = []
    search = Search(0, told.append)
    found = search.law(table_of("x*y + 1", columns_of(POSITIVE)))
    assert found is not None
    assert told == search.log
    assert "found" in told[-1]
    assert found.evidence


def test_the_table_is_left_as_it_is():
    columns = columns_of(POSITIVE)
    y = values_of("x*exp(-y)", columns)
    before = {name: v.copy() for name, v in columns.items()}, y.copy()
    found_in(columns, y)
    assert all((columns[name] == v).all() for name, v in before[0].items())
    assert (y == before[1]).all()


def test_tables_of_many_columns_do_not_list_millions_of_monomials(monkeypatch):
    from math import comb

    from kan2.laws.algebra import relations

    listed = relations.monomials

    def watched(n: int, degree: int, highest: tuple[int, ...]):
        assert comb(n + degree, degree) < 1e5, f"{n} columns of degree {degree}"
        return listed(n, degree, highest)

    monkeypatch.setattr(relations, "monomials", watched)
    columns = columns_of({f"x{i}": (1.0, 3.0) for i in range(30)}, 100)
    assert found_in(columns, values_of("x1*x2 + x7", columns)) is not None


def test_roots_of_squares_of_positive_columns_are_these():
    x, y = sympy.symbols("x y")
    form = sympy.sqrt(x**2 / y**4)
    assert shortest(form, table_of("x/y**2", columns_of(POSITIVE))) == x / y**2
    assert shortest(form, table_of("x/y**2", columns_of(SIGNED))) == form


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("Vmax*(1 - tanh(log(K)/2 - log(c)/2))/2", "Vmax*c/(K + c)"),
        ("A*exp(b*log(a))", "A*a**b"),
        ("v*sqrt(c**2/v**2 + 1)", "sqrt(c**2 + v**2)"),
        ("P*r*exp(n*log(r + 1))/(exp(n*log(r + 1)) - 1)", "P*r*(r + 1)**n/((r + 1)**n - 1)"),
    ],
)
def test_logarithms_inside_exponentials_and_quotients_inside_roots_are_resolved(text: str, short: str):
    symbols = {name: sympy.Symbol(name) for name in ("Vmax", "K", "c", "A", "a", "b", "v", "P", "r", "n")}
    expression, wanted = (sympy.sympify(one, symbols) for one in (text, short))
    rng = np.random.default_rng(0)
    columns = [Column(rng.uniform(1, 3, 40), one) for one in sorted(expression.free_symbols, key=str)]
    found = shortest(expression, Table(tuple(columns), np.ones(40)))
    assert complexity(found) <= complexity(wanted)
    assert sympy.simplify(found - wanted) == 0
