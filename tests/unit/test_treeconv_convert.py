"""Trees of exact functions, row by row of what the incumbent gets wrong, and their refusals."""

import networkx as nx
import numpy as np
import pandas
import pytest
import sympy as sp
import torch
from sklearn.linear_model import LinearRegression

import kanpiler
import treeconv
from treeconv import structure


def samples(n, low=-1.5, high=1.5, count=600, seed=0):
    return np.random.default_rng(seed).uniform(low, high, (count, n))


def tree_of(*children, kind):
    return (kind, frozenset(children))


PAIR = {kind: tree_of("x1", "x2", kind=kind) for kind in ("sum", "product", "separable")}


def flagship(x):
    return torch.sin(x[:, 0] * x[:, 1]) + torch.cos(x[:, 2] + x[:, 3]) * x[:, 4]


FLAGSHIP = tree_of(PAIR["separable"], tree_of(tree_of("x3", "x4", kind="separable"), "x5", kind="product"), kind="sum")


@pytest.mark.parametrize(
    ("text", "n", "expected"),
    [
        ("x1 + x2", 2, PAIR["sum"]),  # T2
        ("1e-3 * x1 * x2", 2, PAIR["product"]),  # T3
        ("1e5 + 0.01 * x1 * x2", 2, PAIR["product"]),
        ("(x1 + x2) * x3", 3, tree_of(PAIR["sum"], "x3", kind="product")),  # T4
        ("x1 * (x2 + x3)", 3, tree_of("x1", tree_of("x2", "x3", kind="sum"), kind="product")),  # T4
        ("sin(x1 * x2) + cos(x3 + x4) * x5", 5, FLAGSHIP),
        (
            "(x1**2 + x2**2)**2 + (x3**2 + x4**2)**2",  # published by the incumbent as a product
            4,
            tree_of(PAIR["separable"], tree_of("x3", "x4", kind="separable"), kind="sum"),
        ),
        (
            "sin((x1 + x2) * (x3 + x4) * (x5 + x6))",
            6,
            tree_of(*(tree_of(f"x{i}", f"x{i + 1}", kind="separable") for i in (1, 3, 5)), kind="separable"),
        ),
        ("x1*x2 + x2*x3", 3, tree_of("x2", tree_of("x1", "x3", kind="sum"), kind="product")),
        ("x1*x2 + x2*x3 + x3*x4", 4, tree_of("x1", "x2", "x3", "x4", kind="opaque")),
        # parts of a separable node are known functions
        ("1/(9 + x1*x2 + x3*x4)", 4, tree_of(PAIR["product"], tree_of("x3", "x4", kind="product"), kind="separable")),
        (
            "sin(x1*x2 + x3*(x4 + x5))",
            5,
            tree_of(PAIR["product"], tree_of("x3", tree_of("x4", "x5", kind="sum"), kind="product"), kind="separable"),
        ),
        (
            "1/(9 + (3 + x1*x2)*(x3 + 3) + x4)",
            4,
            tree_of(tree_of(PAIR["product"], "x3", kind="product"), "x4", kind="separable"),
        ),
        (
            "exp((3 + x1*x2)*(x3 + 3)/9 + x4**3) + x5",
            5,
            tree_of(
                tree_of(tree_of(PAIR["separable"], "x3", kind="separable"), "x4", kind="product"), "x5", kind="sum"
            ),
        ),
    ],
)
def test_the_tree_of_a_formula_is_the_expected_one(text, n, expected):
    names = [f"x{i + 1}" for i in range(n)]
    expression = sp.sympify(text)
    assert structure(treeconv.convert(expression, samples(n), names)) == expected


def test_the_same_tree_comes_from_torch_numpy_and_sympy():
    x = samples(5)
    from_torch = treeconv.convert(flagship, torch.tensor(x))
    from_numpy = treeconv.convert(lambda x: np.sin(x[:, 0] * x[:, 1]) + np.cos(x[:, 2] + x[:, 3]) * x[:, 4], x)
    a, b, c, d, e = sp.symbols("x1:6")
    from_sympy = treeconv.convert(sp.sin(a * b) + sp.cos(c + d) * e, x)
    assert structure(from_torch) == structure(from_numpy) == structure(from_sympy) == FLAGSHIP
    assert from_numpy.graph["settings"]["derivatives"] == "differences"


def test_names_label_the_inputs():  # T1
    tree = treeconv.convert(lambda x: x[:, 0] + x[:, 1], samples(2), names=["a", "b"])
    assert set(tree.predecessors(0)) == {"a", "b"}
    assert tree.nodes["a"]["kind"] == "input"


def test_an_irrelevant_input_is_reported_and_has_no_parent():  # T5
    tree = treeconv.convert(lambda x: torch.sin(x[:, 0]) + 0 * x[:, 1], torch.tensor(samples(2)))
    assert tree.graph["irrelevant"] == ("x2",)
    assert structure(tree) == ("opaque", frozenset({"x1"}))
    assert list(tree.successors("x2")) == []


def test_a_constant_has_no_relevant_input():
    tree = treeconv.convert(lambda x: np.full(len(x), 3.0), samples(2))
    assert tree.graph["irrelevant"] == ("x1", "x2")
    assert tree.nodes[0]["inputs"] == ()


def test_a_column_that_never_moves_is_irrelevant():
    x = samples(3)
    x[:, 2] = 1.0
    tree = treeconv.convert(lambda x: x[:, 0] * x[:, 1] * x[:, 2], x)
    assert tree.graph["irrelevant"] == ("x3",)


def test_the_result_is_a_graph_with_evidence():  # T7
    tree = treeconv.convert(flagship, torch.tensor(samples(5)))
    assert isinstance(tree, nx.DiGraph)
    assert nx.is_arborescence(tree.reverse())
    roots = [node for node in tree if tree.out_degree(node) == 0]
    assert roots == [tree.graph["root"]] == [0]
    for _, attributes in tree.nodes(data=True):
        assert {"kind", "inputs", "score", "threshold", "confidence"} <= set(attributes)
        assert 0.5 <= attributes["confidence"] <= 1
    assert tree.nodes[0]["score"] < 1e-12 < tree.nodes[0]["threshold"] < 1e-8


def test_several_outputs_give_several_trees():  # T8
    def f(x):
        return torch.stack([x[:, 0] + x[:, 1], x[:, 0] * x[:, 1]], dim=1)

    trees = treeconv.convert(f, torch.tensor(samples(2)))
    assert [t.nodes[0]["kind"] for t in trees] == ["sum", "product"]
    assert [t.graph["output"] for t in trees] == [0, 1]


def test_no_public_name_looks_like_a_test():  # T9
    assert not [name for name in dir(treeconv) if name.startswith("test")]


def test_the_bias_of_a_product_is_found():
    tree = treeconv.convert(lambda x: 7 + x[:, 0] * x[:, 1], samples(2))
    assert tree.nodes[0]["bias"] == pytest.approx(7, abs=1e-9)
    assert treeconv.convert(lambda x: x[:, 0] * x[:, 1], samples(2)).nodes[0]["bias"] == 0.0


def test_below_an_opaque_node_groups_carry_evidence_of_their_symmetry():
    def f(x):
        u = x[:, 0] * x[:, 1]
        return torch.exp(u * x[:, 2]) + u * torch.sin(x[:, 2]) + x[:, 2] ** 2 * u**2

    tree = treeconv.convert(f, torch.tensor(samples(3)))
    assert structure(tree) == ("opaque", frozenset({PAIR["separable"], "x3"}))
    group = next(child for child in tree.predecessors(0) if child != "x3")
    assert tree.edges[group, 0]["score"] < tree.edges[group, 0]["threshold"]
    assert tree.nodes[0]["score"] > tree.nodes[0]["threshold"]


def test_samples_outside_the_domain_of_exchanged_inputs_are_dropped():
    x = samples(3, 1, 5)
    x = x[x[:, 1] < 0.9 * x[:, 2]]  # v < c holds in the samples but not after every exchange
    tree = treeconv.convert(lambda x: x[:, 0] / np.sqrt(1 - (x[:, 1] / x[:, 2]) ** 2), x, ["m", "v", "c"])
    assert structure(tree) == ("product", frozenset({"m", ("separable", frozenset({"v", "c"}))}))


def test_a_data_frame_names_its_columns():
    frame = pandas.DataFrame(samples(2), columns=["mass", "speed"])
    tree = treeconv.convert(lambda x: x[:, 0] * x[:, 1] ** 2, frame)
    assert tree.graph["names"] == ("mass", "speed")


def test_a_model_with_a_jet_is_asked_for_it():
    class Model:
        calls = 0

        def __call__(self, x):
            return (x[:, :1] * x[:, 1:2]).detach()

        def jet(self, x, order):
            Model.calls += 1
            assert order == 1
            return type("Jet", (), {"gradient": torch.stack([x[:, 1], x[:, 0]], dim=1)[:, None]})()

    tree = treeconv.convert(Model(), torch.tensor(samples(2)))
    assert structure(tree) == PAIR["product"]
    assert Model.calls > 0


def test_a_compiled_network_is_exact():
    network = kanpiler.compile("x1*x2 + 1e-3*x3")
    tree = treeconv.convert(network, samples(3))
    assert structure(tree) == tree_of(PAIR["product"], "x3", kind="sum")
    assert tree.graph["settings"]["error"] == "exact"


def test_an_estimator_fitted_on_a_data_frame_gets_one():
    frame = pandas.DataFrame(samples(2), columns=["b", "a"])
    model = LinearRegression().fit(frame, frame["a"] + 2 * frame["b"])
    tree = treeconv.convert(model, frame, error=1e-6)
    assert structure(tree) == tree_of("a", "b", kind="sum")


def test_a_class_is_no_model():
    with pytest.raises(TypeError, match="the class LinearRegression"):
        treeconv.convert(LinearRegression, samples(2))


def test_modules_come_back_in_the_mode_they_were_in():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(2, 4), torch.nn.Dropout(0.5), torch.nn.Linear(4, 1))
    model[1].eval()
    model.train()
    model[0].eval()
    before = [m.training for m in model.modules()]
    tree = treeconv.convert(model, samples(2))
    assert [m.training for m in model.modules()] == before
    assert all(p.grad is None for p in model.parameters())
    assert structure(tree) == PAIR["sum"]  # linear, once dropout is off


def test_single_precision_modules_are_held_against_single_precision():
    class Product(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.tensor(2.0))

        def forward(self, x):
            assert x.dtype == torch.float32
            return self.scale * x[:, 0] * x[:, 1] + x[:, 2]

    tree = treeconv.convert(Product(), samples(3), error=0)
    assert structure(tree) == tree_of(PAIR["product"], "x3", kind="sum")


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ((3, samples(2)), TypeError, "expected a callable"),
        ((lambda x: x[:, 0], samples(2)[0]), treeconv.SampleError, "expected samples of shape"),
        ((lambda x: x[:, 0], samples(2) * np.nan), treeconv.SampleError, "expected finite samples"),
        ((lambda x: x[:, 0], samples(2), ["a"]), treeconv.SampleError, "expected 2 different names"),
        ((lambda x: x[:, 0], samples(2), ["a", "a"]), treeconv.SampleError, "expected 2 different names"),
        ((lambda x: x.sum(), samples(2)), treeconv.SampleError, "one row a sample"),
        ((lambda x: np.zeros((2, 2, 2)), samples(2)), treeconv.SampleError, "one row a sample"),
        ((sp.Symbol("q"), samples(2)), treeconv.ExpressionError, "expected an expression in x1, x2"),
        ((lambda x: np.log(-1 - x[:, 0] ** 2), samples(2)), treeconv.SampleError, "expected finite outputs"),
    ],
)
def test_wrong_arguments_are_refused_with_a_remedy(arguments, error, match):
    with pytest.raises(error, match=match) as caught:
        treeconv.convert(*arguments)
    assert str(caught.value).endswith(".")


def test_targets_must_fit():
    f, x = (lambda x: x[:, 0]), samples(2)
    with pytest.raises(treeconv.SampleError, match="expected a finite error >= 0"):
        treeconv.convert(f, x, error=-1)
    with pytest.raises(treeconv.SampleError, match=r"targets y of shape \(600, 1\)"):
        treeconv.convert(f, x, y=np.zeros((len(x), 2)))


@pytest.mark.parametrize(
    "formula", [sp.Abs(sp.Symbol("x1")) * sp.Symbol("x2"), sp.erf(sp.Symbol("x1")) * sp.Symbol("x2")]
)
def test_formulas_with_absolute_values_and_special_functions(formula):
    x = np.random.default_rng(0).uniform(0.2, 1, (200, 2))
    assert "product" in str(treeconv.convert(formula, x))
