"""The 120 AI-Feynman equations: exact, verified, small, and back again."""

import csv
import warnings
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch

import kanpiler
from kan2.expressions import parse_expression

TABLE = Path(__file__).parents[2] / "case_studies" / "data" / "feynman.csv"
ROWS = list(csv.DictReader(TABLE.read_text().splitlines()))


def read(row):
    intervals = [part.split(":") for part in row["variables"].split(";")]
    return row["formula"], [name for name, *_ in intervals], {name: (float(a), float(b)) for name, a, b in intervals}


def test_the_table_is_complete():
    assert len(ROWS) == 120
    assert len({row["name"] for row in ROWS}) == 120
    for row in ROWS:
        formula, names, _ = read(row)
        assert {symbol.name for symbol in parse_expression(formula, names).free_symbols} == set(names), row["name"]


@pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
def test_compiles_exactly_and_back(row):
    formula, names, domain = read(row)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kanpiler.DomainWarning)  # III.9.52 has a removable pole inside its ranges
        net = kanpiler.compile(formula, names, domain)
    expression = parse_expression(formula, names)
    symbols = [sympy.Symbol(name) for name in names]
    x = np.random.default_rng(3).uniform(*np.array(list(domain.values())).T, (200, len(names)))
    with np.errstate(invalid="ignore"):
        expected = sympy.lambdify(symbols, expression, "numpy")(*x.T)
        back = sympy.lambdify(symbols, kanpiler.decompile(net), "numpy")(*x.T)
    finite = np.isfinite(expected)
    found = net(torch.as_tensor(x)).detach().numpy()[:, 0]
    scale = np.abs(expected) + np.median(np.abs(expected[finite]))
    assert finite.mean() > 0.4
    assert (np.abs(found - expected) <= 1e-10 * scale)[finite].all()
    assert (np.abs(back - expected) <= 1e-9 * scale)[finite].all()
