"""The pieces of the converter: single tests, thresholds, decomposition, text, formulas, pictures, JSON."""

import itertools
import json

import networkx as nx
import numpy as np
import pytest
import sympy as sp
import torch

import treeconv
from treeconv import ExpressionError, SampleError, TreeError
from treeconv.calibration import judge, widest_gap
from treeconv.derivatives import as_functions
from treeconv.hierarchy import children, strong_modules
from treeconv.text import read


def samples(n, low=-1.5, high=1.5, count=500):
    return np.random.default_rng(0).uniform(low, high, (count, n))


def gauss(x):
    return np.exp(-(x[:, 0] ** 2) / 2) * x[:, 1] + x[:, 2]


# single tests


def test_separability_is_asked_of_groups_by_name_or_number():
    x = samples(3)
    assert treeconv.additive_separability(gauss, x, [["a", "b"], ["c"]], names=["a", "b", "c"])
    assert not treeconv.additive_separability(gauss, x, [[0], [1]])
    assert not treeconv.multiplicative_separability(gauss, x, [[0, 1], [2]])
    assert treeconv.generalised_separability(lambda x: np.sin(gauss(x)), x, [[0, 1], [2]])
    assert not treeconv.generalised_separability(lambda x: np.sin(gauss(x)), x, [[0, 2], [1]])


def test_a_given_bias_is_kept():
    x = samples(2)
    assert treeconv.multiplicative_separability(lambda x: 2 + x[:, 0] * x[:, 1], x, [[0], [1]], bias=2)
    assert not treeconv.multiplicative_separability(lambda x: 2 + x[:, 0] * x[:, 1], x, [[0], [1]], bias=1.9)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_scores_do_not_change_with_units(scale):
    x = samples(3, 1, 2)

    def f(x):
        return np.sin(x[:, 0] * x[:, 1]) + 0.1 * x[:, 1] * x[:, 2] ** 2

    def scaled(x):
        return scale * f(x / np.array([1.0, 100.0, 1e-4]))

    for test, argument in (
        (treeconv.additive_separability, [[0], [1, 2]]),
        (treeconv.multiplicative_separability, [[0], [1, 2]]),
        (treeconv.generalised_separability, [[0], [1, 2]]),
        (treeconv.generalised_symmetry, [0, 1]),
        (treeconv.irrelevance, 2),
    ):
        plain = test(f, x, argument)
        other = test(scaled, x * np.array([1.0, 100.0, 1e-4]), argument)
        assert other.score == pytest.approx(plain.score, rel=1e-6)


def test_the_incumbents_symmetry_variable_example():
    x, names = samples(3, 1, 2), ["a", "b", "c"]

    def f(x):
        return x[:, 0] * torch.sqrt(1 + (x[:, 1] / x[:, 2]) ** 2)

    b, c = sp.symbols("b c")
    for right in ("b/c", "c / b", "b^2/c^2", b / c, lambda x: x[:, 1] / x[:, 2], lambda x: np.log(x[:, 1] / x[:, 2])):
        evidence = treeconv.symmetry_variable(f, x, right, names)
        assert evidence
        assert evidence.detail["aligned"] == 1.0
    wrong = treeconv.symmetry_variable(f, x, "b*c", names)
    assert not wrong
    assert wrong.detail["aligned"] < 0.5
    assert treeconv.symmetry_variable(f, x, "a", names)  # one input is a variable of itself


@pytest.mark.parametrize(
    ("combination", "expected"),
    [
        ("a - b", "translation"),
        ("a + b", "opposite translation"),
        ("a / b", "scaling"),
        ("a * b", "opposite scaling"),
        ("a**2 + b**2", "rotation"),
        ("a**2 - b**2", "boost"),
    ],
)
def test_low_order_symmetries_of_a_pair(combination, expected):
    variable = sp.sympify(combination)
    found = treeconv.pair_symmetries(sp.cos(variable) + sp.Symbol("c"), samples(3, 1, 2), ["a", "b"], ["a", "b", "c"])
    assert [name for name, evidence in found.items() if evidence] == [expected]


def test_groups_are_found():
    def f(x):
        return x[:, 0] * x[:, 1] + x[:, 2] * x[:, 3]

    found = treeconv.find_groups(f, samples(4), "sum")
    assert found.detail["groups"] == [["x1", "x2"], ["x3", "x4"]]
    assert not treeconv.find_groups(f, samples(4), "product")


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda x: treeconv.additive_separability(gauss, x, [[0]]), TreeError, "two or more groups"),
        (lambda x: treeconv.multiplicative_separability(gauss, x, [[0]]), TreeError, "two or more groups"),
        (lambda x: treeconv.additive_separability(gauss, x, [[0], [0, 1]]), TreeError, "without common inputs"),
        (lambda x: treeconv.additive_separability(gauss, x, [["q"], [1]]), TreeError, "expected inputs among"),
        (lambda x: treeconv.irrelevance(gauss, x, 7), TreeError, "columns 0 to 2"),
        (lambda x: treeconv.find_groups(gauss, x, "opaque"), TreeError, "'sum' or 'product'"),
        (lambda x: treeconv.symmetry_variable(gauss, x, "1 + 1"), ExpressionError, "got a constant"),
        (lambda x: treeconv.pair_symmetries(gauss, x, [0, 1, 2]), TreeError, "two different inputs"),
        (lambda x: treeconv.convert(gauss, x, y=x[:5, 0]), SampleError, r"targets y of shape \(500, 1\)"),
        (lambda x: treeconv.convert(gauss, x, error=np.nan), SampleError, "finite error"),
        (lambda x: treeconv.convert(gauss, x, error=[0.1, 0.1]), SampleError, "expected 1 errors"),
        (lambda x: treeconv.convert(lambda a, b: a, x), SampleError, "Let it take one array"),
        (lambda x: treeconv.irrelevance(lambda x: np.stack([gauss(x)] * 2, 1), x, 0), SampleError, "one output"),
    ],
)
def test_wrong_questions_are_refused(call, error, match):
    with pytest.raises(error, match=match) as caught:
        call(samples(3))
    assert caught.type is error


# thresholds


def test_a_verdict_is_a_bool_for_numbers_of_numpy_too():
    assert judge(1.0, np.float64(0.5)).holds is False


def test_the_threshold_goes_into_the_widest_gap():
    assert widest_gap([0.03, 0.031, 0.5], 0.01, 0.05) == 0.05
    assert widest_gap([1e-16, 1e-15, 0.5], 1e-9, 0.1) == pytest.approx(1e-5)
    assert widest_gap([], 1e-4, 1e-2) == pytest.approx(1e-3)
    assert widest_gap([0.02, 0.02], 0.01, 0.1) > 0.02


def test_confidence_grows_with_the_distance_and_falls_with_the_scatter():
    near, far, scattered = judge(0.02, 0.01), judge(1.0, 0.01), judge(1.0, 0.01, scatter=5.0)
    assert 0.5 < near.confidence < scattered.confidence < far.confidence <= 1


# derivatives


def test_differences_agree_with_the_truth_and_say_how_well():
    function = as_functions(lambda x: np.exp(np.sin(3 * x[:, 0])) * x[:, 1], samples(2))[0]
    x = samples(2)
    truth = 3 * np.cos(3 * x[:, 0]) * np.exp(np.sin(3 * x[:, 0])) * x[:, 1]
    assert function.gradient(x)[:, 0] == pytest.approx(truth, abs=1e-9)
    assert function.gradient_error < 1e-9


def test_a_step_function_is_seen_with_wide_steps():
    class Stairs:
        def predict(self, x):
            return np.round(x[:, 0] * 8) / 8

    function = as_functions(Stairs(), samples(1))[0]
    assert function.learned
    assert function.settings["step"] >= 0.1
    assert function.gradient(samples(1)).mean() == pytest.approx(1.0, abs=0.1)


# decomposition


def random_parts(rng, inputs):
    """A random tree over inputs: (complete, children), a leaf being a number."""
    if len(inputs) == 1:
        return inputs[0]
    cuts = sorted(rng.choice(np.arange(1, len(inputs)), size=rng.integers(1, len(inputs)), replace=False).tolist())
    pieces = [inputs[a:b] for a, b in zip([0, *cuts], [*cuts, len(inputs)])]
    return bool(rng.integers(2)), [random_parts(rng, piece) for piece in pieces]


def leaves(part):
    return frozenset([part]) if isinstance(part, int) else frozenset().union(*map(leaves, part[1]))


def splits_of(part, n):
    """Which input splits which pair, when the nodes of a tree are functions without further structure."""
    splits = np.zeros((n, n, n), dtype=bool)

    def visit(part):
        if isinstance(part, int):
            return
        complete, below = part
        owner = {i: c for c, child in enumerate(below) for i in leaves(child)}
        for i, j, k in itertools.permutations(owner, 3):
            a, b, c = owner[i], owner[j], owner[k]
            if a == b == c:
                continue
            apart = len({a, b, c}) == 3
            splits[i, j, k] = not complete if apart else a != b
        for child in below:
            visit(child)

    visit(part)
    return splits


def test_modular_decomposition_recovers_random_trees():
    rng = np.random.default_rng(1)
    for n in (2, 3, 4, 6, 9, 12):
        for _ in range(20):
            part = random_parts(rng, rng.permutation(n).tolist())
            nodes, stack = set(), [part]
            while stack:
                node = stack.pop()
                if not isinstance(node, int):
                    nodes.add(leaves(node))
                    stack += node[1]
            splits = splits_of(part, n)
            assert strong_modules(splits)[0] == nodes
            groups, complete = children(splits)
            assert set(map(frozenset, groups)) == {leaves(child) for child in part[1]}
            assert complete == (part[0] and len(part[1]) > 2)


def test_a_complete_node_is_recognised():
    assert children(np.zeros((4, 4, 4), dtype=bool)) == (((0,), (1,), (2,), (3,)), True)


# text


@pytest.mark.parametrize("text", ["b/c", "sqrt(1 - (b/c)**2)", "-b + 2.5e-3*c", "exp(b)^2 * pi", "ln(abs(b))"])
def test_arithmetic_is_read(text):
    expected = sp.sympify(text.replace("^", "**").replace("ln", "log").replace("abs", "Abs"))
    assert sp.simplify(read(text, ["b", "c"]) - expected) == 0


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "b.real",
        "b[0]",
        "(lambda: 1)()",
        "q + b",
        "eval('1')",
        "b if c else 1",
        "b ** 1e9",
        "9**9**9**9",
        "1/0",
        "'b'",
        "True",
        "b, c",
        "b +",
        "sin(b, c)",
        "(" * 300 + "b" + ")" * 300,
        "b" * 3000,
    ],
)
def test_everything_else_is_refused(text):
    with pytest.raises(ExpressionError, match="symmetry_variable: in"):
        read(text, ["b", "c"])


# formulas, JSON, comparison, text


@pytest.fixture(scope="module")
def tree():
    def f(x):
        return torch.sin(x[:, 0] * x[:, 1]) + torch.cos(x[:, 2] + x[:, 3]) * x[:, 4]

    return treeconv.convert(f, torch.tensor(samples(6)), ["a", "b", "c", "d", "e", "idle"])


def test_the_skeleton_has_unknown_functions(tree):
    a, b, c, d, e = sp.symbols("a:e")
    f = [sp.Function(f"f{i}") for i in range(6)]
    outer = [sp.Function(f"F{i}") for i in range(3)]
    assert treeconv.skeleton(tree) == outer[1](f[1](a) + f[2](b)) + outer[2](f[3](c) + f[4](d)) * f[5](e)


def test_the_skeleton_keeps_the_bias_of_a_root_product():
    skeleton = treeconv.skeleton(treeconv.convert(lambda x: 1 + x[:, 0] * x[:, 1], samples(2)))
    assert sp.Symbol("c") in skeleton.free_symbols


def test_what_others_add_to_a_tree_stays_out_of_json(tree):
    tree = tree.copy()
    tree.graph["model"] = object()
    assert "model" not in treeconv.from_json(treeconv.to_json(tree)).graph


@pytest.mark.parametrize("verb", ["plot", "to_graphviz", "skeleton", "structure", "to_json"])
@pytest.mark.parametrize("what", [nx.DiGraph(), [1, 2], "tree"])
@pytest.mark.usefixtures("unchecked")
def test_other_things_than_trees_are_refused(verb, what):
    with pytest.raises(TypeError, match=f"{verb}: expected one tree"):
        getattr(treeconv, verb)(what)


def test_trees_survive_json(tree):
    again = treeconv.from_json(treeconv.to_json(tree))
    assert isinstance(again, treeconv.Tree)
    assert nx.utils.graphs_equal(again, tree)
    assert again.graph == json.loads(json.dumps(tree.graph)) | {
        "names": tree.graph["names"],
        "irrelevant": tree.graph["irrelevant"],
    }
    stripped = treeconv.to_json(tree).replace("product", "quotient")
    for text in ("{}", "no json", "[]", '{"graph": {"root": 0}}', stripped):
        with pytest.raises(TreeError, match="expected a tree"):
            treeconv.from_json(text)


def test_trees_compare(tree):
    same = treeconv.compare(tree, treeconv.from_json(treeconv.to_json(tree)))
    assert same["same"]
    assert same["similarity"] == 1.0
    other = treeconv.convert(lambda x: x.prod(1), samples(6), tree.graph["names"])
    different = treeconv.compare(tree, other)
    assert not different["same"]
    assert different["irrelevant"] == ["idle"]
    assert ("product", ("a", "b", "c", "d", "e", "idle")) in different["only_second"]


def test_a_tree_prints_as_indented_text(tree):
    lines = str(tree).splitlines()
    assert lines[0].startswith("sum  (score")
    assert lines[2:4] == ["    a", "    b"]
    assert lines[-1] == "irrelevant: idle"


NO_TREES = ["x", 3, None, [], nx.DiGraph(), treeconv.Tree]


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("given", NO_TREES, ids=["text", "number", "none", "list", "graph", "class"])
@pytest.mark.parametrize("verb", ["structure", "to_json", "plot", "to_graphviz", "skeleton", "compare"])
def test_what_is_no_tree_is_refused_as_a_tree_error(verb, given):
    with pytest.raises(treeconv.TreeTypeError, match=f"{verb}: expected one tree") as caught:
        getattr(treeconv, verb)(*[given] * (2 if verb == "compare" else 1))
    assert isinstance(caught.value, TreeError)
    assert isinstance(caught.value, TypeError)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    "call",
    [
        lambda: treeconv.convert(3, samples(2)),
        lambda: treeconv.convert(dict, samples(2)),
        lambda: treeconv.additive_separability("x", samples(2), [[0], [1]]),
        lambda: treeconv.anatomy(3),
    ],
)
def test_what_is_no_function_is_refused_as_a_tree_error(call):
    with pytest.raises(treeconv.TreeTypeError, match=r"expected a (callable|torch module)"):
        call()


@pytest.mark.parametrize("node", ["z", 99, [], {}, 1.5])
def test_a_node_that_is_not_there_is_refused(node):
    tree = treeconv.convert(lambda x: x[:, 0] + x[:, 1], samples(2), names=["a", "b"])
    with pytest.raises(TreeError, match="structure: expected a node of the tree, one of 0, 'a', 'b', got"):
        treeconv.structure(tree, node)
    assert treeconv.structure(tree, "a") == "a"
