"""Properties of trees: invariance under names, order and units, and agreement with brute force on random formulas."""

import sys
from pathlib import Path

import numpy as np
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import treeconv
from treeconv import structure

sys.path.insert(0, str(Path(__file__).parents[1] / "reference"))
from treeconv_bruteforce import Formula, facts, implied, nested

UNARY = [
    lambda u: sp.sin(2 * u),
    lambda u: sp.exp(u / 2),
    lambda u: u**2 + u,
    lambda u: 1 / (u**2 + 2),
    lambda u: sp.log(u**2 + 1) + u,
    lambda u: u,
]


@st.composite
def formulas(draw, inputs=None):
    """A random formula in which every input occurs once, and sometimes two nodes share one."""
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


def names_of(expression):
    return sorted(map(str, expression.free_symbols))


def samples(n, seed=3):
    return np.random.default_rng(seed).uniform(0.5, 2.0, (300, n))


@given(formulas())
@settings(max_examples=60)
def test_trees_are_sound_and_complete_by_brute_force(expression):
    names = names_of(expression)
    assume(len(names) > 1)
    tree = treeconv.convert(expression, samples(len(names)), names)
    truth = facts(Formula(expression, dict.fromkeys(names, (0.5, 2.0))))
    stated = implied(nested(tree))
    assert stated - truth == set(), f"unsound: {expression}\n{tree}"
    assert truth - stated == set(), f"incomplete: {expression}\n{tree}"


@given(formulas(), st.randoms(use_true_random=False))
def test_the_order_of_the_columns_does_not_matter(expression, random):
    names = names_of(expression)
    shuffled = list(names)
    random.shuffle(shuffled)
    x = samples(len(names))
    moved = x[:, [names.index(name) for name in shuffled]]
    assert structure(treeconv.convert(expression, x, names)) == structure(treeconv.convert(expression, moved, shuffled))


@given(formulas(), st.floats(1e-4, 1e4), st.floats(-1e3, 1e3), st.integers(0, 4))
def test_units_and_offsets_do_not_matter(expression, scale, offset, which):
    names = names_of(expression)
    x = samples(len(names))
    units = np.ones(len(names))
    units[which % len(names)] = scale
    in_units = expression.subs({n: sp.Symbol(n) / u for n, u in zip(names, units)}, simultaneous=True)
    plain = treeconv.convert(expression, x, names)
    assert structure(treeconv.convert(in_units, x * units, names)) == structure(plain)
    assert structure(treeconv.convert(scale * expression, x, names)) == structure(plain)
    # an offset costs digits, which the threshold has to allow for
    assert structure(treeconv.convert(expression + offset, x, names)) == structure(plain)


@given(formulas())
def test_an_irrelevant_column_adds_an_irrelevant_leaf(expression):
    names = names_of(expression)
    x = samples(len(names) + 1)
    plain = treeconv.convert(expression, x[:, :-1], names)
    wider = treeconv.convert(expression, x, [*names, "idle"])
    assert structure(wider) == structure(plain)
    assert wider.graph["irrelevant"] == (*plain.graph["irrelevant"], "idle")
    assert wider.nodes["idle"]["kind"] == "input"


@given(formulas())
def test_json_and_skeleton_follow_the_tree(expression):
    names = names_of(expression)
    tree = treeconv.convert(expression, samples(len(names)), names)
    assert structure(treeconv.from_json(treeconv.to_json(tree))) == structure(tree)
    found = {str(s) for s in treeconv.skeleton(tree).free_symbols} & set(names)
    assert found == set(names) - set(tree.graph["irrelevant"])
