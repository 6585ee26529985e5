"""Names of inputs that are no words: printed in backquotes, and read back."""

import numpy as np
import pytest
import sympy as sp
import torch

import treeconv
from treeconv.errors import ExpressionError
from treeconv.symbols import quoted, symbol
from treeconv.text import read

NAMES = ["x-y", "a,b", "`t`", "1", "lambda", "flow rate", "a#b", "c^d"]


def tree(names, unused=False):
    x = torch.rand(300, 3 + unused, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 1
    return treeconv.convert(lambda x: x[:, 0] * x[:, 1] + x[:, 2], x, names=names)


def test_skeletons_and_trees_print_such_names_in_backquotes():
    found = tree(["x-y", "a,b", "`t`", "no use"], unused=True)
    assert str(treeconv.skeleton(found)) == "f1(`x-y`)*f2(`a,b`) + f3(```t```)"
    lines = [line.strip() for line in str(found).splitlines()]
    assert {"`x-y`", "`a,b`", "```t```", "irrelevant: `no use`"} <= set(lines)
    assert treeconv.from_json(treeconv.to_json(found)).graph["names"] == ("x-y", "a,b", "`t`", "no use")


def test_words_print_as_they_are():
    found = tree(["a", "größe", "x_1"])
    assert str(treeconv.skeleton(found)) == "f1(a)*f2(größe) + f3(x_1)"
    assert "`" not in str(found)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_printed_is_read_back(name):
    expression = sp.sin(symbol(name)) ** 2 / (1 + symbol("b"))
    assert read(str(expression), [name, "b"]) == expression
    assert read(f"2*{quoted(name)}", NAMES).free_symbols == {sp.Symbol(name)}
    assert name.replace("`", "") in sp.pretty(symbol(name))
    assert sp.latex(symbol(name)) != name
    assert (symbol(name) + 1).subs(sp.Symbol(name), 2) == 3


def test_words_that_stand_for_names_are_no_names():
    assert read("`x-y` - name0*`name1`", ["x-y", "name0", "name1"]) == symbol("x-y") - sp.Symbol("name0") * sp.Symbol(
        "name1"
    )
    for text in ("name0 + `x-y`", "2`x-y`", "a`x-y`", "`x-y", "`y`", "`x-y`(2)"):
        with pytest.raises(ExpressionError):
            read(text, ["x-y", "a"])
    with pytest.raises(ExpressionError, match="`x-y`"):
        read("x-y", ["x-y"])


def test_a_symmetry_in_such_names():
    x = np.random.default_rng(0).uniform(1, 2, (200, 3))
    names = ["flow rate", "a/b", "c"]
    assert treeconv.symmetry_variable(lambda x: np.sin(x[:, 0] / x[:, 1]) + x[:, 2], x, "`flow rate`/`a/b`", names)
    found = treeconv.pair_symmetries(lambda x: np.sin(x[:, 0] - x[:, 1]), x, [0, 1], names)
    assert found["translation"].detail["variable"] == "`flow rate` - `a/b`"
    expression = sp.Symbol("flow rate") * symbol("a/b") + sp.Symbol("c")
    assert treeconv.convert(expression, x, names=names).nodes[0]["kind"] == "sum"
