"""Attribution scores: the definition, shapes, shares of factors, refusals, memory."""

import pytest
import torch

from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
from kan2.analysis import attribution
from kan2.analysis.attribution import attribute, edge_statistics, feature_score
from kan2.errors import DataError, UnknownNameError


def symbolic(*layers: LayerSpec, **names) -> MultKAN:
    return MultKAN.from_spec(NetworkSpec(layers, **names))


@pytest.fixture
def x(generator) -> torch.Tensor:
    return torch.rand(200, 3, generator=generator, dtype=torch.float64)


def test_a_later_layer_that_ignores_a_node_takes_its_score_away(x):
    hidden = LayerSpec(3, 2, numeric=(), terms=(SymbolicTerm(0, 0, "sin"), SymbolicTerm(1, 1, "exp")))
    output = LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(0, 1, "0")))
    scores = symbolic(hidden, output).attribute(x)
    assert scores.nodes[0].tolist() == pytest.approx([1, 0, 0])
    assert scores.nodes[1].tolist() == pytest.approx([1, 0])
    assert float(scores.nodes[0][1]) == 0


@pytest.mark.parametrize("width", [[3, [2, 2], 2], [3, [2, 1], 3]])
def test_products_of_other_arity_give_scores_of_the_right_shape(width, x):
    # The incumbent fails on the first and gives wrong values on the second.
    arities = [[], [2, 3][-width[1][1] :], []]
    model = MultKAN(width, mult_arity=arities)
    scores = attribute(model, x)
    spec = model.spec.layers[0]
    assert scores.edges[0].shape == (spec.n_subnodes, 3)
    assert scores.subnodes[0].shape == (spec.n_subnodes,)
    for node, group in enumerate(spec.groups):
        assert all(scores.subnodes[0][t] == scores.nodes[1][node] for t in group)


def test_shares_see_that_a_factor_hardly_varies(x):
    factors = LayerSpec(3, 0, (2,), numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(1, 1, "x")))
    model = symbolic(factors)
    with torch.no_grad():
        model.layers[0].symbolic.affine[1] = torch.tensor([1.0, 0.0, 1e-3, 1.0])
    assert attribute(model, x).edges[0][1, 1] == 1
    shares = attribute(model, x, shares=True).edges[0]
    assert shares[0, 0] > 0.999
    assert shares[1, 1] < 2e-3


def test_outputs_one_by_one_mean_and_largest(x):
    model = MultKAN([3, 2, 2], outputs=["u", "v"])
    single = torch.stack([attribute(model, x, outputs=name).edges[0] for name in ("u", 1)])
    assert torch.equal(attribute(model, x).edges[0], single.mean(0))
    assert torch.equal(attribute(model, x, outputs="max").edges[0], single.amax(0))


def test_a_value_that_varies_by_rounding_only_has_score_zero():
    layer = LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"),))
    x = torch.linspace(0, 1, 100).double().repeat(2, 1).T.contiguous()
    x[:, 0] = 1
    x[50:, 0] += torch.finfo(x.dtype).eps
    assert x[:, 0].std() > 0
    assert feature_score(symbolic(layer), x).tolist() == [0.0, 0.0]


def test_edges_that_cancel_carry_nothing(x):
    layer = LayerSpec(
        3, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(0, 0, "x"), SymbolicTerm(0, 1, "x"))
    )
    model = symbolic(layer)
    with torch.no_grad():
        model.layers[0].symbolic.affine[:, 2] = torch.tensor([1e9, -1e9, 1.0])
    assert feature_score(model, x)[1] > 0.99


def test_chunks_give_the_same_statistics(x, monkeypatch):
    layer = MultKAN([3, 4, 1]).layers[0]
    whole = edge_statistics(layer, x)
    monkeypatch.setattr(attribution, "CHUNK_ENTRIES", 100)
    parts = edge_statistics(layer, x)
    torch.testing.assert_close(parts.std, whole.std, rtol=1e-12, atol=0)
    torch.testing.assert_close(parts.mean, whole.mean, rtol=1e-12, atol=1e-15)


def test_scores_do_not_depend_on_units(x):
    model = MultKAN([3, 2, 1])
    before = feature_score(model, x)
    with torch.no_grad():
        model.layers[-1].node_scale.mul_(1e-9)
    torch.testing.assert_close(feature_score(model, x), before)


def test_the_features_of_the_paper_example(generator):
    x = 2 * torch.rand(1000, 4, generator=generator, dtype=torch.float64) - 1
    y = x[:, 0] ** 2 + 0.3 * x[:, 1] + 0.1 * x[:, 2] ** 3
    model = MultKAN([4, 1])
    model.fit((x, y))
    assert list(model.attribute().inputs) == ["x1", "x2", "x3", "x4"]
    torch.testing.assert_close(feature_score(model)[:3], torch.tensor([0.85, 0.5, 0.1]).double(), atol=0.1, rtol=0)
    assert feature_score(model)[3] < 1e-6


def test_refusals(x):
    model = MultKAN([3, 1])
    with pytest.raises(DataError, match="no data of a fit"):
        model.attribute()
    with pytest.raises(DataError, match="two samples"):
        model.attribute(x[:1])
    with pytest.raises(DataError, match="finite"):
        model.attribute(torch.full((2, 3), torch.nan))
    with pytest.raises(UnknownNameError, match="output 'z'"):
        model.attribute(x, outputs="z")
    logarithm = symbolic(LayerSpec(3, 1, numeric=(), terms=(SymbolicTerm(0, 0, "log"),)))
    with pytest.raises(DataError, match="domain"):
        logarithm.attribute(-x.abs() - 1)
