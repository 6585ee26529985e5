"""Pruning: what goes, what stays, what it leaves behind. The rows B5b and B10 to B14b of the incumbent's failures."""

import pytest
import torch

from kan2 import LayerSpec, LayerValues, MultKAN, NetworkSpec, SymbolicTerm
from kan2.errors import EdgeError, UnknownNameError


def symbolic(*layers: LayerSpec, **names) -> MultKAN:
    return MultKAN.from_spec(NetworkSpec(layers, **names))


def set_affine(model: MultKAN, layer: int, rows: dict[int, list[float]]) -> MultKAN:
    with torch.no_grad():
        for i, numbers in rows.items():
            model.layers[layer].symbolic.affine[i] = torch.tensor(numbers, dtype=torch.float64)
    return model


@pytest.fixture
def x(generator) -> torch.Tensor:
    return 2 * torch.rand(300, 2, generator=generator, dtype=torch.float64) - 1


def two_sines() -> MultKAN:
    hidden = LayerSpec(2, 2, numeric=(), terms=(SymbolicTerm(0, 0, "sin"), SymbolicTerm(1, 1, "x^2")))
    output = LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(0, 1, "x")))
    return symbolic(hidden, output)


def test_an_edge_that_is_removed_leaves_its_mean_behind(x):
    model = set_affine(two_sines(), 1, {1: [1.0, 0.0, 1e-3, 7.0]})
    new = model.prune(x)
    assert new.width == [[2, 0], [1, 0], [1, 0]]
    report = model.compare(new, x)
    assert report.moved < 1e-3
    assert report.moved == pytest.approx(1e-3 * float((x[:, 1] ** 2).std()), rel=0.01)
    assert float(new(x).detach().mean()) == pytest.approx(float(model(x).detach().mean()), abs=1e-12)


def test_symbolic_edges_of_no_weight_go(x):
    model = set_affine(two_sines(), 1, {1: [1.0, 0.0, 1e-6, 0.0]})
    assert model.prune(x).spec.n_edges == 2
    assert model.prune_edge(x).spec.n_edges == 2
    assert model.remove_edge((1, 0, 1)).spec.n_edges == 3


def test_the_source_is_not_touched_and_settings_stay(x):
    # B11, B12: the incumbent changes the outputs of its source by 2.4 and forgets four settings.
    model = MultKAN([2, 5, 1], grid=7, k=2, grid_eps=0.7, affine_trainable=True, base_fun="tanh", inputs=["a", "b"])
    model.layers[0].numeric.weight.requires_grad_(False)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    new = model.prune(x, node_th=0.5)
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    for layer in new.spec.layers:
        assert layer.basis == model.spec.layers[0].basis
        assert layer.affine_trainable
    assert new.spec.inputs == ("a", "b")
    assert not new.layers[0].numeric.weight.requires_grad
    assert new.layers[1].numeric.weight.requires_grad
    assert new.like.dtype == model.like.dtype


def test_no_tensor_is_shared_with_the_source(x):
    model = MultKAN([2, [2, 1], 1])
    edits = [
        model.prune(x, 0.0, 0.0), model.prune_input(x, active=[0, 1]), model.simplify(), model.refine(10),
        model.expand_width(1), model.expand_depth(), model.perturb(), model.augment({"q": "x1*x2"}),
        model.swap(1, 0, 1),
        model.auto_swap(x), model.module(0, "[0]->[0]"), model.remove_edge((0, 0, 0)), model.remove_node(1, 0),
    ]  # fmt: skip
    mine = {t.data_ptr() for t in model.state_dict().values()}
    for new in edits:
        assert not mine & {t.data_ptr() for t in new.state_dict().values()}
        assert new is not model


def test_a_selection_of_inputs_holds_through_later_edits(x):
    # B10: the incumbent's next prune reads column 0 instead of column 1.
    model = MultKAN([2, 3, 1])
    chosen = model.prune_input(x, active=[1])
    assert chosen.spec.features == ("x2",)
    assert chosen.spec.inputs == ("x1", "x2")
    again = chosen.prune(x, 1e-12, 1e-12).refine(10)
    torch.testing.assert_close(again(x), chosen(x))
    moved = x.clone()
    moved[:, 0] += 1
    assert torch.equal(again(moved), again(x))
    assert list(again.attribute(x).inputs) == ["x2"]
    assert list(model.prune_input(x, active=["x1"]).attribute(x).inputs) == ["x1"]


def test_thresholds_select_inputs(x):
    model = set_affine(two_sines(), 0, {1: [1.0, 0.0, 1e-5, 0.0]})
    assert model.prune_input(x).spec.features == ("x1",)
    assert model.prune(x, input_th=1e-2).spec.features == ("x1",)
    assert model.prune(x).spec.features == ("x1", "x2")


@pytest.mark.parametrize("width", [[2, 5, 1], [2, [2, 2], 3], [2, [0, 1]], [2, 3, 3, 2]])
def test_a_threshold_above_everything_keeps_the_best_path(x, width):
    # B14: the incumbent stops with "stack expects a non-empty TensorList".
    model = MultKAN(width)
    new = model.prune(x, node_th=1e3, edge_th=1e3)
    assert bool((new(x).std(0) > 0).all())
    assert new.spec.n_edges <= len(new.spec.outputs) * len(new.layers)


def test_pruning_without_scores_at_hand_computes_them(x):
    # B14b: the incumbent raises TypeError before `attribute` was called.
    model = MultKAN([2, 2, 1])
    model.fit((x, x[:, 0]), steps=2)
    assert model.prune_edge().data is model.data


def test_constants_only_are_refused(x):
    with pytest.raises(EdgeError, match="constants on these samples"):
        MultKAN([2, 1]).prune(torch.ones(10, 2))


def test_active_nodes_and_inputs_are_checked(x):
    model = MultKAN([2, 3, 2, 1])
    assert model.prune_node(x, active=[[0, 2], [1]]).width == [[2, 0], [2, 0], [1, 0], [1, 0]]
    with pytest.raises(EdgeError, match="2 hidden layers, got 1"):
        model.prune_node(x, active=[[0]])
    with pytest.raises(EdgeError, match="nodes below 3 in layer 1, got 3"):
        model.prune_node(x, active=[[3], [0]])
    with pytest.raises(EdgeError, match="path from the inputs"):
        model.prune_node(x, active=[[], [0]])
    with pytest.raises(UnknownNameError, match="feature 'x3'"):
        model.prune_input(x, active=["x3"])


def test_a_constant_factor_is_folded_and_its_product_becomes_a_sum(x):
    factors = LayerSpec(
        2, 0, (2, 3), numeric=(), terms=tuple(SymbolicTerm(t, s, "x") for t, s in enumerate((0, 1, 0, 1, 1)))
    )
    output = LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(0, 1, "x")))
    model = set_affine(symbolic(factors, output), 0, {1: [0.0, 0.0, 1.0, 3.0], 4: [0.0, 0.0, 1.0, 0.5]})
    new = model.prune(x, 1e-6, 1e-6)
    assert new.width == [[2, 0], [1, 1], [1, 0]]
    assert new.spec.layers[0].arities == (2,)
    torch.testing.assert_close(new(x), model(x))
    torch.testing.assert_close(new(x)[:, 0], 3 * x[:, 0] + 0.5 * x[:, 0] * x[:, 1])


def test_a_factor_that_hardly_varies_is_recognised(x):
    factors = LayerSpec(2, 0, (2,), numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(1, 1, "x")))
    output = LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sin"),))
    model = set_affine(symbolic(factors, output), 0, {1: [1.0, 0.0, 1e-3, 1.0]})
    new = model.prune(x)
    assert new.spec.n_edges == 2
    assert model.compare(new, x).relative < 1e-3


def test_outputs_keep_their_order(x):
    layer = LayerSpec(
        2, 0, (2, 2), numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(1, 1, "x"), SymbolicTerm(2, 1, "x"))
    )
    values = LayerValues(subnode_bias=[0.0, 0.0, 0.0, 5.0])
    model = MultKAN.from_values(NetworkSpec((layer,)), [values])
    new = model.prune(x)
    assert new.spec.layers[0].arities == (2, 1)
    torch.testing.assert_close(new(x), model(x))


@pytest.mark.slow
def test_multiplication_survives_pruning_of_a_trained_network(generator):
    x = 2 * torch.rand(400, 2, generator=generator, dtype=torch.float64) - 1
    model = MultKAN([2, [2, 1], 1], base_fun="identity", seed=1)
    model.fit((x, x[:, 0] * x[:, 1]), lamb=1e-3, steps=60)
    new = model.prune()
    new.fit(model.data, steps=60)
    assert new.spec.n_edges < model.spec.n_edges
    assert model.compare(new).rmse[1] < 1e-2


def test_the_report_counts_and_measures(x):
    model = MultKAN([2, 4, 1])
    new = model.prune(x, node_th=0.3, edge_th=0.3)
    report = model.compare(new, (x, x[:, 0]))
    difference = (new(x) - model(x)).detach()
    assert report.moved == pytest.approx(float(difference.square().mean().sqrt()))
    assert report.moved_max == pytest.approx(float(difference.abs().max()))
    assert report.edges == (model.spec.n_edges, new.spec.n_edges)
    assert report.rmse[0] == pytest.approx(float((model(x) - x[:, :1]).detach().square().mean().sqrt()))
    assert model.compare(new, x).rmse is None
    assert "edges 12 ->" in str(report)
