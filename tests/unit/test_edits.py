"""Edits of structure: refine, expand, arrange, modules, inputs. Each keeps what it promises and refuses the rest."""

import pytest
import torch
from strategies import samples

from kan2 import LayerSpec, LayerValues, MultKAN, NetworkSpec, SymbolicTerm
from kan2.edits.arrange import connection_cost, reorder
from kan2.errors import EdgeError, SpecError, UnknownNameError
from kan2.expressions.parse import ExpressionError


def symbolic(*layers: LayerSpec, **names) -> MultKAN:
    return MultKAN.from_spec(NetworkSpec(layers, **names))


def all_x(n_in: int, n_sum: int, arities=()) -> LayerSpec:
    n = n_sum + sum(arities)
    terms = tuple(SymbolicTerm(t, s, "x") for t in range(n) for s in range(n_in))
    return LayerSpec(n_in, n_sum, arities, numeric=(), terms=terms)


def same(a: MultKAN, b: MultKAN, tolerance: float = 1e-10) -> None:
    x = samples(b)
    torch.testing.assert_close(a(x), b(x), rtol=tolerance, atol=tolerance)


class TestRefine:
    @pytest.mark.parametrize("grid", [10, 20])
    def test_nested_grids_are_exact(self, grid):
        model = MultKAN([2, [2, 1], 1], grid=5)
        new = model.refine(grid)
        same(new, model, 1e-11)
        assert all(layer.basis.grid == grid for layer in new.spec.layers)
        assert all(layer.numeric.basis.n_intervals == grid for layer in new.layers)
        assert model.spec.layers[0].basis.grid == 5

    def test_grids_that_follow_quantiles_are_exact_too(self, generator):
        model = MultKAN([2, 2, 1], grid=4, grid_eps=0.1)
        x = torch.rand(200, 2, generator=generator, dtype=torch.float64) ** 3
        model.fit((x, x[:, 0]), steps=2)
        same(model.refine(8), model, 1e-9)

    def test_a_higher_order_and_a_bad_grid(self):
        model = MultKAN([2, 1], grid=5, k=2)
        assert model.refine(5, k=3).spec.layers[0].basis.k == 3
        with pytest.raises(SpecError, match="grid between"):
            model.refine(0)

    def test_symbolic_networks_stay_as_they_are(self):
        model = symbolic(all_x(2, 1))
        same(model.refine(10), model, 0)


class TestExpand:
    @pytest.mark.parametrize(("is_sum", "width"), [(True, [[2, 0], [4, 1], [2, 0]]), (False, [[2, 0], [2, 3], [2, 0]])])
    def test_wider_is_the_same_function_and_can_be_trained(self, is_sum, width):
        model = MultKAN([2, [2, 1], 2])
        new = model.expand_width(1, 2, is_sum, mult_arity=3)
        assert new.width == width
        same(new, model, 1e-14)
        x, fresh = samples(new), slice(2, 4) if is_sum else slice(3, 5)
        assert bool((new.layers[0](x)[:, fresh].std(0) > 0).all())
        new(x).sum().backward()
        assert float(new.layers[1].numeric.weight.grad[:, fresh].abs().sum()) > 0

    def test_a_compiled_network_gets_room(self):
        model = symbolic(all_x(2, 1), all_x(1, 1), inputs=("x", "y"))
        new = model.expand_width(1, 1).perturb()
        same(new, model)
        x = samples(model)
        target = (x.sum(1) + x[:, 0] * x[:, 1]).detach()
        before = float((new(x)[:, 0].detach() - target).square().mean())
        new.fit((x, target), steps=30)
        assert float((new(x)[:, 0].detach() - target).square().mean()) < 0.1 * before

    @pytest.mark.parametrize("layer", [0, 1, 2, None])
    def test_deeper_is_the_same_function(self, layer):
        model = MultKAN([2, [2, 1], 2], outputs=["u", "v"])
        new = model.expand_depth(layer)
        same(new, model)
        at = 2 if layer is None else layer
        n = [2, 3, 2][at]
        assert new.width == [*model.width[: at + 1], [n, 0], *model.width[at + 1 :]]
        assert new.spec.outputs == ("u", "v")

    def test_perturb_modes(self):
        model = symbolic(LayerSpec(2, 2, numeric=(), terms=(SymbolicTerm(0, 0, "sin"),)), all_x(2, 1))
        x = samples(model)
        assert torch.equal(model.perturb()(x), model(x))
        assert model.perturb().spec.layers[0].numeric == "all"
        minimal = model.perturb(0.3, "minimal")
        assert minimal.spec.layers[0].numeric_pairs == ((0, 0),)
        assert not torch.equal(minimal(x), model(x))
        assert torch.equal(minimal(x), model.perturb(0.3, "minimal")(x))
        assert not torch.equal(minimal(x), model.perturb(0.3, "minimal", seed=1)(x))

    @pytest.mark.usefixtures("unchecked")
    def test_perturb_knows_three_modes(self):
        with pytest.raises(UnknownNameError, match="'minimal'"):
            MultKAN([2, 1]).perturb(mode="minimum")

    def test_refusals(self):
        model = MultKAN([2, 2, 1])
        for layer in (0, 2, -1):
            with pytest.raises(EdgeError, match="between 1 and 1"):
                model.expand_width(layer)
        with pytest.raises(EdgeError, match="the network has none"):
            MultKAN([2, 1]).expand_width(1)
        with pytest.raises(EdgeError, match="n_nodes as a whole number >= 1"):
            model.expand_width(1, 0)
        with pytest.raises(EdgeError, match="between 0 and 2, got 3"):
            model.expand_depth(3)


class TestArrange:
    def test_swap_exchanges_affines_too(self):
        # The incumbent turns the scales [1, 2, 3] into [3, 2, 3].
        values = LayerValues(node_scale=[1.0, 2.0, 3.0], subnode_bias=[0.1, 0.2, 0.3])
        model = MultKAN.from_values(NetworkSpec((all_x(2, 3), all_x(3, 1))), [values, LayerValues()])
        new = model.swap(1, 0, 2)
        assert new.layers[0].node_scale.tolist() == [3.0, 2.0, 1.0]
        same(new, model)

    def test_products_of_different_arity(self):
        model = MultKAN([2, [1, 2], 1], mult_arity=[[], [2, 3], []])
        new = model.swap(1, 1, 2)
        assert new.spec.layers[0].arities == (3, 2)
        same(new, model)

    def test_sums_and_products_do_not_mix(self):
        model = MultKAN([2, [1, 1], 1])
        with pytest.raises(EdgeError, match="two addition nodes or two products"):
            model.swap(1, 0, 1)
        with pytest.raises(EdgeError, match="nodes below 2"):
            model.swap(1, 0, 7)
        with pytest.raises(EdgeError, match="addition nodes first"):
            reorder(model, 1, [1, 0])

    def test_auto_swap_untangles(self):
        # Inputs 1 to 4 feed hidden nodes 4 to 1, and the network is deeper than the incumbent can handle.
        n = 4
        crossed = LayerSpec(n, n, numeric=(), terms=tuple(SymbolicTerm(n - 1 - i, i, "x") for i in range(n)))
        straight = LayerSpec(n, n, numeric=(), terms=tuple(SymbolicTerm(i, i, "x") for i in range(n)))
        model = symbolic(crossed, straight, crossed)
        x = samples(model)
        new = model.auto_swap(x)
        same(new, model)
        assert connection_cost(model, x) > 0.9
        assert connection_cost(new, x) == pytest.approx(0)

    def test_other_widths_in_every_layer(self):
        model = MultKAN([2, 5, 3, 1])
        same(model.auto_swap(samples(model)), model)


class TestModules:
    def test_a_group_is_cut_off(self):
        model = MultKAN([4, 6, 2, 6, 1]).module(0, "[0,1]->[0,1,2]->[0,1,2]->[0]")
        first, second = model.spec.layers[:2]
        assert all((t in (0, 1, 2)) == (s in (0, 1)) for t, s in first.active_pairs)
        assert all((t == 0) == (s in (0, 1, 2)) for t, s in second.active_pairs)
        assert len(first.active_pairs) == 3 * 2 + 3 * 2
        x = samples(model)
        moved = x.clone()
        moved[:, 2:] += 1
        assert torch.equal(model.layers[0](x)[:, :3], model.layers[0](moved)[:, :3])

    def test_factors_and_negative_numbers(self):
        model = MultKAN([4, [0, 1]], mult_arity=4)
        for i in range(3):
            model = model.module(0, f"[{i}]->[{i}]")
        assert model.spec.layers[0].active_pairs == ((0, 0), (1, 1), (2, 2), (3, 3))
        assert MultKAN([2, 2, 1]).module(0, "[-1]->[-1]").spec.layers[0].active_pairs == ((0, 0), (1, 1))

    @pytest.mark.parametrize(
        ("chain", "message"),
        [("[0]", "chain such as"), ("0->0", "chain such as"), ("[0]->[9]", "below 3"), ("[0]->[0]" * 3, "chain")],
    )
    def test_bad_chains(self, chain, message):
        with pytest.raises(EdgeError, match=message):
            MultKAN([2, 3, 1]).module(0, chain)

    def test_removed_node_and_formula_agree(self):
        # B6: forward 3, formula 6 in the incumbent.
        model = symbolic(all_x(2, 2), all_x(2, 1))
        new = model.remove_node(1, 0)
        x = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
        assert float(model(x).detach()) == 6
        assert float(new(x).detach()) == 3
        assert float(new.symbolic_formula().subs({"x1": 1, "x2": 2})) == 3

    def test_removed_edges_leave_nothing_or_their_mean(self):
        model = symbolic(all_x(2, 1))
        x = samples(model)
        torch.testing.assert_close(model.remove_edge((0, 0, 0))(x)[:, 0], x[:, 1])
        torch.testing.assert_close(model.remove_edge((0, 0, 0), x)(x)[:, 0], x[:, 1] + x[:, 0].mean())

    @pytest.mark.usefixtures("unchecked")
    def test_refusals(self):
        model = MultKAN([2, 1, 1])
        with pytest.raises(EdgeError, match="path from the inputs"):
            model.remove_edge((1, 0, 0))
        with pytest.raises(EdgeError, match="path from the inputs"):
            model.remove_node(1, 0)
        with pytest.raises(EdgeError, match="carries something, got \\(0, 5, 0\\)"):
            model.remove_edge((0, 5, 0))
        with pytest.raises(EdgeError, match="expected an edge"):
            model.remove_edge(3)
        with pytest.raises(EdgeError, match="hidden layer"):
            model.remove_node(0, 0)


class TestInputs:
    def test_auxiliary_variables_for_a_network_that_exists(self):
        model = MultKAN([2, 2, 1], inputs=["v", "c"])
        new = model.augment({"beta": "v/c", "gamma": "1/sqrt(1 - beta**2)"})
        assert new.spec.features == ("v", "c", "beta", "gamma")
        assert new.spec.inputs == ("v", "c")
        x = torch.tensor([[0.5, 1.0], [0.1, 2.0]], dtype=torch.float64)
        torch.testing.assert_close(new(x), model(x), rtol=1e-13, atol=1e-14)
        torch.testing.assert_close(new.features(x)[0, 3], torch.tensor(1 / 0.75**0.5).double())

    def test_refusals(self):
        model = MultKAN([2, 1], inputs=["v", "c"])
        with pytest.raises(SpecError, match="'c'"):
            model.augment({"c": "v"})
        with pytest.raises(ExpressionError):
            model.augment({"beta": "v/w"})
