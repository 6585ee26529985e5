"""What edits promise, on random networks: outputs stay where they must, settings always, sources untouched."""

import copy
import random
import re

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference.attribution_reference import slow_scores
from strategies import SMOOTH, is_well_conditioned, networks, samples

from kan2 import MultKAN
from kan2.analysis.attribution import attribute, edge_statistics, finite_trace, output_scores
from kan2.edits.arrange import connection_cost, reorder
from kan2.edits.prune import reached_outputs
from kan2.errors import EdgeError, FormulaError, Kan2Error
from kan2.expressions.reference_values import reference_values
from kan2.symbolic.gauge import fix_gauge


def same(a: torch.Tensor, b: torch.Tensor) -> None:
    a, b = a.detach(), b.detach()
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9 * max(1.0, float(b.abs().max())))


def state(model: MultKAN) -> tuple:
    flags = {name: parameter.requires_grad for name, parameter in model.named_parameters()}
    return model.spec, {k: v.clone() for k, v in model.state_dict().items()}, flags


def unchanged(model: MultKAN, before: tuple) -> None:
    spec, tensors, flags = state(model)
    assert spec == before[0]
    assert flags == before[2]
    assert all(torch.equal(tensors[k], before[1][k]) for k in before[1])


def consistent(model: MultKAN) -> None:
    assert tuple(layer.spec for layer in model.layers) == model.spec.layers
    for layer in model.layers:
        assert (layer.numeric is None) == (not layer.spec.numeric_pairs)
        assert (layer.symbolic is None) == (not layer.spec.terms)


def exact_edit(model: MultKAN, rng: random.Random) -> MultKAN:
    """Applies one random edit that must leave the function as it is."""
    hidden = list(range(1, len(model.layers)))
    edits = ["simplify", "refine", "depth", "perturb", "augment"] + ["width", "swap", "reorder", "auto_swap"] * bool(
        hidden
    )
    kind = rng.choice(edits)
    if kind == "simplify":
        return model.simplify()
    if kind == "refine":
        return (
            model.refine(2 * max(layer.basis.grid for layer in model.spec.layers if True))
            if _can_be_refined(model)
            else model
        )
    if kind == "depth":
        return model.expand_depth(rng.randint(0, len(model.layers)))
    if kind == "perturb":
        return model.perturb()
    if kind == "augment":
        name = f"q{len(model.spec.auxiliary)}"
        return model.augment({name: f"{model.spec.inputs[0]}**2 + 1"})
    layer = rng.choice(hidden)
    spec = model.spec.layers[layer - 1]
    if kind == "width":
        return model.expand_width(
            layer, rng.randint(1, 2), rng.random() < 0.5, rng.randint(2, 4), seed=rng.randint(0, 9)
        )
    if kind == "swap":
        i = rng.randrange(spec.n_out)
        peers = range(spec.n_sum) if i < spec.n_sum else range(spec.n_sum, spec.n_out)
        return model.swap(layer, i, rng.choice(peers))
    if kind == "reorder":
        sums, products = list(range(spec.n_sum)), list(range(spec.n_sum, spec.n_out))
        return reorder(model, layer, [*rng.sample(sums, len(sums)), *rng.sample(products, len(products))])
    return model.auto_swap(samples(model))


def _can_be_refined(model: MultKAN) -> bool:
    bases = [layer.basis for layer in model.spec.layers]
    return all((basis.kind, basis.grid) == ("bspline", bases[0].grid) for basis in bases)


@given(networks(), st.integers(0, 2**32 - 1))
def test_sequences_of_exact_edits_keep_the_outputs(model, seed):
    rng, x = random.Random(seed), samples(model)
    wanted, before = model(x), state(model)
    new = model
    for _ in range(3):
        new = exact_edit(new, rng)
        consistent(new)
        same(new(x), wanted)
    unchanged(model, before)
    assert new.spec.inputs == model.spec.inputs
    assert new.spec.outputs == model.spec.outputs


def any_edit(model: MultKAN, rng: random.Random) -> MultKAN:
    """Applies one random edit, whether it moves the function or not; what is refused stays as it is."""
    edges = [e.index for e in model.spec.edges()]
    kind = rng.choice(["exact", "exact", "edge", "node", "prune", "fix", "unfix", "gauge", "auxiliary"])
    try:
        if kind == "exact":
            return exact_edit(model, rng)
        if kind == "edge":
            return model.remove_edge(rng.choice(edges), samples(model) if rng.random() < 0.5 else None)
        if kind == "node":
            layer = rng.randint(1, len(model.layers) - 1)
            return model.remove_node(layer, rng.randrange(sum(model.width[layer])))
        if kind == "prune":
            return model.prune(samples(model), node_th=0.05, edge_th=0.1)
        if kind == "fix":
            affine = [rng.uniform(-1, 1) for _ in range(4)]
            return model.fix_symbolic(rng.choice(edges), rng.choice(SMOOTH), affine=affine)
        if kind == "unfix":
            return model.unfix_symbolic(rng.choice(edges), samples(model))
        if kind == "gauge":
            return fix_gauge(model)
        if kind == "auxiliary":
            edge = (0, rng.randrange(model.spec.layers[0].n_subnodes), model.spec.layers[0].n_in)
            wider = model.augment({f"w{len(model.spec.auxiliary)}": f"sin({model.spec.inputs[-1]})"})
            return wider.fix_symbolic(edge, "sin", affine=(1, 0, 0.5, 0))
    except (Kan2Error, ValueError, IndexError):
        pass
    return model


@pytest.mark.slow
@settings(max_examples=12)
@given(networks(edges=("symbolic", "symbolic", "none"), max_layers=2), st.integers(0, 2**32 - 1))
def test_the_formula_is_the_network_after_any_sequence_of_edits(model, seed):
    rng = random.Random(seed)
    for _ in range(4):
        model = any_edit(model, rng)
    if splines := [e.index for e in model.spec.edges() if e.is_numeric]:
        with pytest.raises(FormulaError, match=re.escape(str(splines[0]))):
            model.symbolic_formula()
        for edge in splines:
            model = model.fix_symbolic(edge, "tanh", affine=(0.7, 0.1, 0.5, 0))
    assume(is_well_conditioned(model))
    x = samples(model)
    formulas = model.symbolic_formula(check=False)
    formulas = formulas if isinstance(formulas, list) else [formulas]
    values = reference_values(formulas, list(model.spec.inputs), x.numpy())
    same(torch.as_tensor(values).reshape(len(x), -1), model(x))


@pytest.mark.slow
@given(networks())
def test_simplify_leaves_no_constant_and_no_dead_end(model):
    new = model.simplify()
    for i, (layer, above) in enumerate(zip(new.spec.layers, new.spec.layers[1:])):
        read = {s for _, s in above.active_pairs}
        fed = {t for t, _ in layer.active_pairs}
        if layer.n_out > 1:
            assert read == set(range(layer.n_out)), f"layer {i} has a dead end"
            assert fed == set(range(layer.n_subnodes)), f"layer {i} has a constant factor"
            assert all(arity > 1 for arity in layer.arities)
    assert new.simplify().spec == new.spec


@pytest.mark.slow
@given(networks(edges=("numeric", "symbolic", "both")))
def test_scores_follow_their_definition(model):
    x = samples(model)
    records = finite_trace(model, x, "test")
    fast = output_scores(model, records, [edge_statistics(r.layer, r.inputs) for r in records], shares=False)
    for k in range(len(model.spec.outputs)):
        for quick, slow in zip(fast, slow_scores(model, x, k)):
            for a, b in zip(quick, slow):
                torch.testing.assert_close(
                    a[k], torch.tensor(b, dtype=a.dtype).reshape(a[k].shape), rtol=1e-6, atol=1e-9
                )


@pytest.mark.slow
@settings(max_examples=15)
@given(networks(), st.sampled_from([0.0, 1e-2, 0.3, 1e3]))
def test_pruning_keeps_every_output_connected_and_every_setting(model, threshold):
    x = samples(model)
    before, scores = state(model), attribute(model, x, outputs="max").nodes[0]
    if not bool((scores > 0).any()):
        with pytest.raises(EdgeError, match="constants on these samples"):
            model.prune(x)
        return
    new = model.prune(x, node_th=threshold, edge_th=threshold)
    consistent(new)
    unchanged(model, before)
    varying = {k for k in range(len(model.spec.outputs)) if float(model(x).detach()[:, k].std()) > 1e-9}
    assert varying <= reached_outputs(new)
    for old, layer in zip(model.spec.layers, new.spec.layers):
        assert layer.basis == old.basis
        assert layer.affine_trainable == old.affine_trainable
    if threshold == 0:
        same(new(x), model(x))


@pytest.mark.slow
@settings(max_examples=15)
@given(networks(edges=("numeric", "symbolic", "none")))
def test_pruning_without_score_moves_nothing(model):
    x = samples(model)
    wide = model
    if len(model.layers) > 1:
        wide = model.expand_width(1, 2).expand_width(1, 1, False, 3)
    if bool((attribute(wide, x, outputs="max").nodes[0] > 0).any()):
        pruned = wide.prune(x, node_th=1e-9, edge_th=1e-9)
        same(pruned(x), model(x))


@pytest.mark.slow
@settings(max_examples=15)
@given(networks(edges=("numeric", "symbolic")))
def test_auto_swap_does_not_raise_the_cost(model):
    x = samples(model)
    assert connection_cost(model.auto_swap(x), x) <= connection_cost(model, x) + 1e-9


@settings(max_examples=15)
@given(networks())
def test_edits_survive_a_copy(model):
    new = copy.deepcopy(model.simplify())
    same(new(samples(model)), model(samples(model)))
