"""Properties of trees: invariance under names, order and units, and agreement with brute force on random formulas."""

import sys
from pathlib import Path

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import treeconv
from treeconv import structure

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from treeconv_bruteforce import Formula, as_torch, facts, implied, nested

UNARY = [
    lambda u: sp.sin(2 * u),
    lambda u: sp.exp(u / 4),
    lambda u: u**2,
    lambda u: 1 / (u**2 + 2),
    lambda u: sp.log(u**2 + 1),
    lambda u: u,
]


@st.composite
def formulas(draw, inputs=None):
    """A random formula in which every input occurs once, or its part twice below an opaque node."""
    if inputs is None:
        inputs = [f"x{i}" for i in range(1, draw(st.integers(2, 5)) + 1)]
    if len(inputs) == 1:
        return draw(st.sampled_from(UNARY))(sp.Symbol(inputs[0]))
    cut = draw(st.integers(1, len(inputs) - 1))
    left, right = draw(formulas(inputs[:cut])), draw(formulas(inputs[cut:]))
    joined = draw(st.sampled_from(["sum", "product", "both"]))
    if joined == "sum":
        whole = left + right
    elif joined == "product":
        whole = left * right
    else:
        whole = left * right + sp.sin(left) * right**2
    return draw(st.sampled_from(UNARY))(whole)


def usable(expression):
    """Whether the formula has some size on its box, and no slope at which float64 cannot tell it from its rounding."""
    names = names_of(expression)
    if len(names) < 2 or not parts_are_small(expression, names):
        return False
    formula = Formula(expression, dict.fromkeys(names, (0.5, 2.0)))
    values, slopes = formula.d(), np.stack([formula.d(name) for name in names])
    if not (np.abs(values).max() < 1e6 and np.abs(slopes).max() < 1e9):  # also where one is NaN
        return False
    size = values.std()
    return 1e-3 < size < 1e3 and np.abs(values).max() < 1e3 * size and np.abs(slopes).max() < 1e5 * size


def parts_are_small(expression, names):
    """Whether no intermediate value is so large that a few samples hide all others."""
    parts = [part for part in sp.preorder_traversal(expression) if part.free_symbols]
    points = np.random.default_rng(0).uniform(0.5, 2.0, (len(names), 40))
    with np.errstate(all="ignore"):
        values = sp.lambdify(names, parts, modules="numpy", cse=True)(*points)
    return all(np.abs(value).max() < 1e6 for value in values)


def names_of(expression):
    return sorted(map(str, expression.free_symbols))


def samples(n, seed=3):
    return np.random.default_rng(seed).uniform(0.5, 2.0, (300, n))


def tree_of(expression, x, names):
    return treeconv.convert(as_torch(expression, names), x, names)


@given(formulas().filter(usable))
@settings(max_examples=25)
def test_trees_are_sound_and_complete_by_brute_force(expression):
    names = names_of(expression)
    tree = tree_of(expression, samples(len(names)), names)
    truth = facts(Formula(expression, dict.fromkeys(names, (0.5, 2.0))))
    stated = implied(nested(tree))
    assert stated - truth == set(), f"unsound: {expression}\n{tree}"
    assert truth - stated == set(), f"incomplete: {expression}\n{tree}"


@pytest.mark.slow
@given(formulas().filter(usable))
@settings(max_examples=500, phases=[Phase.generate])  # shrinking takes longer than finding
def test_more_trees_are_sound_and_complete_by_brute_force(expression):
    test_trees_are_sound_and_complete_by_brute_force.hypothesis.inner_test(expression)


@pytest.mark.slow
@given(formulas().filter(usable), st.randoms(use_true_random=False))
@settings(max_examples=12)
def test_the_order_of_the_columns_does_not_matter(expression, random):
    names = names_of(expression)
    shuffled = list(names)
    random.shuffle(shuffled)
    x = samples(len(names))
    moved = x[:, [names.index(name) for name in shuffled]]
    assert structure(tree_of(expression, x, names)) == structure(tree_of(expression, moved, shuffled))


@pytest.mark.slow
@given(formulas().filter(usable), st.floats(1e-12, 1e12), st.floats(-1e3, 1e3), st.integers(0, 4))
@settings(max_examples=12)
def test_units_and_offsets_do_not_matter(expression, scale, offset, which):
    names = names_of(expression)
    f, x = as_torch(expression, names), samples(len(names))
    units = torch.ones(len(names), dtype=torch.float64)
    units[which % len(names)] = scale
    plain = structure(treeconv.convert(f, x, names))
    assert structure(treeconv.convert(lambda x: f(x / units), x * units.numpy(), names)) == plain
    assert structure(treeconv.convert(lambda x: scale * f(x), x, names)) == plain
    assert structure(treeconv.convert(lambda x: offset + f(x), x, names)) == plain


@pytest.mark.slow
@given(formulas().filter(usable))
@settings(max_examples=12)
def test_an_irrelevant_column_adds_an_irrelevant_leaf(expression):
    names = names_of(expression)
    f, x = as_torch(expression, names), samples(len(names) + 1)
    plain = treeconv.convert(f, x[:, :-1], names)
    wider = treeconv.convert(lambda x: f(x[:, :-1]), x, [*names, "idle"])
    assert structure(wider) == structure(plain)
    assert wider.graph["irrelevant"] == (*plain.graph["irrelevant"], "idle")
    assert wider.nodes["idle"]["kind"] == "input"


@given(formulas().filter(usable))
@settings(max_examples=12)
def test_json_and_skeleton_follow_the_tree(expression):
    names = names_of(expression)
    tree = tree_of(expression, samples(len(names)), names)
    assert structure(treeconv.from_json(treeconv.to_json(tree))) == structure(tree)
    found = {str(s) for s in treeconv.skeleton(tree).free_symbols} & set(names)
    assert found == set(names) - set(tree.graph["irrelevant"])
