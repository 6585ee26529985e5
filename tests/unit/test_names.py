"""Names of columns that are no words: printed so that nothing can be misread, and read back."""

import pickle

import numpy as np
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st

import kan2
import kanpiler
from kan2.expressions.parse import ExpressionError, parse_expression
from kan2.expressions.symbols import QuotedSymbol, quoted, symbol

ODD = ["x-y", "and", "A·", "1", "0", "flow rate", "T [K]", "a`b", "2x", "sin(x)", " ", "p,q", "Δ-1"]


@pytest.mark.parametrize("name", ODD)
def test_names_that_are_no_words_are_read_back(name):
    expression = 2 * symbol(name) ** 2 + sympy.Symbol("x")
    text = str(expression)
    assert f"{quoted(name)}**2" in text
    assert parse_expression(text, [name, "x"]) == expression == parse_expression(text)
    network = kanpiler.compile(text)
    assert set(network.spec.inputs) == {name, "x"}
    assert str(network.symbolic_formula()) == text
    assert kanpiler.decompile(network) == expression
    assert r"\text{" in network.latex()


@given(st.text(min_size=1, max_size=8).filter(lambda name: name.isprintable()))
def test_any_printable_name_is_read_back(name):
    expression = 3 * symbol(name)
    assert parse_expression(str(expression), [name]) == expression


def test_a_quoted_symbol_is_the_symbol_of_its_name():
    plain, odd = sympy.Symbol("x-y"), symbol("x-y")
    assert isinstance(odd, QuotedSymbol)
    assert odd == plain
    assert plain == odd
    assert hash(odd) == hash(plain)
    assert odd != sympy.Symbol("x-y", real=True)
    assert (2 * odd + 1).subs(plain, 3) == 7
    assert (2 * odd + 1).xreplace({plain: sympy.Integer(3)}) == 7
    assert sympy.lambdify([plain], odd**2)(3.0) == 9.0
    assert pickle.loads(pickle.dumps(odd + 1)) == odd + 1
    assert "`x-y`" in sympy.pretty(odd)


def test_in_augment_and_in_formulas():
    x = np.random.default_rng(0).uniform(1, 2, (60, 2))
    table = {"x-y": x[:, 0], "0": x[:, 1], "z": x[:, 0] * x[:, 1]}
    data = kan2.augment(table, {"product": "`x-y`*`0`"}, target="z")
    assert data.inputs == ("x-y", "0")
    torch.testing.assert_close(data.features[:, 2], torch.tensor(table["z"]))
    with pytest.raises(ExpressionError, match="in backquotes: `0`, `x-y`"):
        kan2.augment(table, {"difference": "x-y"}, target="z")


def test_a_backquote_that_is_not_closed_is_refused():
    for text in ("`x", "``", "x`y"):
        with pytest.raises(ExpressionError, match="character '`'"):
            parse_expression(text)
