"""The 120 AI-Feynman equations: exact, verified, small, and back again."""

import warnings

import numpy as np
import pytest
import sympy
import torch

import kanpiler
from case_studies._equations import with_units
from kan2.expressions.parse import parse_expression

EQUATIONS = with_units()


def test_the_table_is_complete():
    assert len({equation.name for equation in EQUATIONS}) == len(EQUATIONS) == 120
    for equation in EQUATIONS:
        expression = parse_expression(equation.formula, list(equation.ranges))
        assert {symbol.name for symbol in expression.free_symbols} == set(equation.ranges), equation.name


@pytest.mark.parametrize("equation", EQUATIONS, ids=lambda equation: equation.name)
def test_compiles_exactly_and_back(equation):
    formula, names, domain = equation.formula, list(equation.ranges), equation.ranges
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
