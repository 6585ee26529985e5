"""Jacobians against automatic differentiation, for random networks with every kind of trainable number."""

import copy

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
from kan2.training import problem as problem_module
from kan2.training._linearisation import Linearisation
from kan2.training._probes import Probe, dense_jacobian
from kan2.training.losses import CallableLoss, CrossEntropy, SquaredError, class_targets
from kan2.training.parameters import ParameterVector
from kan2.training.penalties import Penalty, edge_scales
from kan2.training.problem import Problem
from kan2.training.residuals import ResidualProblem

FUNCTIONS = ("sin", "x^2", "exp", "tanh", "power")


@st.composite
def networks(draw, affine=True):
    """A random network of one to three layers: splines, symbolic terms, products, trained affines, empty pairs."""
    generator = torch.Generator().manual_seed(draw(st.integers(0, 10_000)))
    n_in = draw(st.integers(1, 3))
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        n_sum = draw(st.integers(0, 2))
        arities = tuple(draw(st.lists(st.integers(2, 3), min_size=0 if n_sum else 1, max_size=2)))
        spec = LayerSpec(n_in, n_sum, arities)
        pairs = [(t, s) for t in range(spec.n_subnodes) for s in range(n_in)]
        numeric = "all" if draw(st.booleans()) else tuple(p for p in pairs if draw(st.booleans()))
        terms = tuple(
            SymbolicTerm(
                *draw(st.sampled_from(pairs)), draw(st.sampled_from(FUNCTIONS)), draw(st.sampled_from(("abcdp", "ac")))
            )
            for _ in range(draw(st.integers(0, 3)))
        )
        layers.append(LayerSpec(n_in, n_sum, arities, numeric, terms, affine_trainable=affine and draw(st.booleans())))
        n_in = spec.n_out
    model = MultKAN.from_spec(NetworkSpec(tuple(layers)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(parameter + 0.3 * noise if "shape" not in name else parameter)
        for layer in model.layers:
            if layer.symbolic is not None:
                # The argument of a power must stay positive.
                layer.symbolic.affine[:, 0] *= 0.1
                layer.symbolic.affine[:, 1] = 1.5
    x = 0.5 * torch.rand(7, model.layers[0].spec.n_in, generator=generator, dtype=torch.float64)
    return model, x


def numerical_rows(model, x, seed):
    """The Jacobian of sum(seed * output) by one backward pass a sample, through `forward`."""
    vector = ParameterVector(model)
    rows = []
    for i in range(len(x)):
        model.zero_grad()
        (model(x[i : i + 1]) * seed[i : i + 1]).sum().backward()
        rows.append(gradient_vector(model, vector))
    return torch.stack(rows) if vector.size else x.new_zeros(len(x), 0)


def gradient_vector(model, vector):
    holder = copy.deepcopy(model)
    with torch.no_grad():
        for parameter, original in zip(holder.parameters(), model.parameters()):
            parameter.copy_(torch.zeros_like(parameter) if original.grad is None else original.grad)
    return ParameterVector(holder).read()


@settings(max_examples=25)
@given(networks())
def test_jacobian_equals_automatic_differentiation(case):
    model, x = case
    vector = ParameterVector(model)
    if not vector.size:
        return
    seed = torch.linspace(0.5, 1.5, 7 * model.layers[-1].spec.n_out, dtype=torch.float64).view(7, -1)
    expected = numerical_rows(model, x, seed)
    adjoints = Linearisation(vector, x).adjoints(seed)
    torch.testing.assert_close(adjoints.jacobian(), expected, rtol=1e-9, atol=1e-9)
    v = torch.linspace(-1, 1, vector.size, dtype=torch.float64)
    w = torch.linspace(-1, 2, 7, dtype=torch.float64)
    torch.testing.assert_close(adjoints.push(v), expected @ v, rtol=1e-9, atol=1e-8)
    torch.testing.assert_close(adjoints.pull(w), expected.T @ w, rtol=1e-9, atol=1e-8)
    torch.testing.assert_close(adjoints.pull(w, 2), (expected**2).T @ w, rtol=1e-9, atol=1e-8)


@settings(max_examples=25)
@given(networks())
def test_reading_and_writing_parameters_are_inverse(case):
    model, x = case
    vector = ParameterVector(model)
    before = model(x)
    numbers = vector.read()
    assert numbers.shape == (vector.size,) == (model.n_parameters,)
    vector.write(2 * numbers)
    torch.testing.assert_close(vector.read(), 2 * numbers)
    vector.write(numbers)
    assert torch.equal(model(x), before)


@pytest.mark.slow
@settings(max_examples=15)
@given(networks(affine=False))
def test_jacobian_of_derivatives_equals_automatic_differentiation(case):
    model, x = case
    vector, probe = ParameterVector(model), Probe(model)

    def residual(net):
        jet = net.jet(x, 2)
        return jet.value[:, 0] * jet.gradient[:, 0, 0] + jet.hessian[:, 0, 0, 0] + net.laplacian(x)[:, 0] ** 2

    value = residual(probe)
    torch.testing.assert_close(value, residual(model))
    if not value.requires_grad or not vector.size:
        return
    found = probe.jacobian(vector, value)
    torch.testing.assert_close(found, dense_jacobian(vector, residual(model)), rtol=1e-8, atol=1e-8)


@pytest.mark.slow
@settings(max_examples=25)
@given(networks())
def test_chunks_change_nothing(case):
    model, x = case
    y = torch.ones(7, model.layers[-1].spec.n_out, dtype=torch.float64)
    weight = torch.linspace(0.1, 2, 7, dtype=torch.float64)
    vector = ParameterVector(model)
    problem = Problem(x, y, weight, Penalty(1e-2, coef=0.5, smooth=0.5), SquaredError(), roughness=1e-3)
    whole = problem.restart(vector)
    equations = problem.normal_equations(vector, whole)
    rows = problem._chunk_rows
    problem._chunk_rows = lambda _: 3
    try:
        parts = problem.restart(vector)
        assert parts.linearisation is None
        torch.testing.assert_close(parts.objective, whole.objective)
        again = problem.normal_equations(vector, parts)
    finally:
        problem._chunk_rows = rows
    # The covariance of a constant activation is all rounding, and differs between chunks.
    torch.testing.assert_close(again.gram, equations.gram, rtol=1e-6, atol=1e-5)
    torch.testing.assert_close(again.gradient, equations.gradient, rtol=1e-6, atol=1e-5)


@settings(max_examples=25)
@given(networks(), st.booleans())
def test_gradient_of_the_objective_equals_differences(case, is_weighted):
    model, x = case
    vector = ParameterVector(model)
    if not vector.size:
        return
    y = torch.ones(7, model.layers[-1].spec.n_out, dtype=torch.float64)
    weight = torch.linspace(0.1, 2, 7, dtype=torch.float64) if is_weighted else None
    problem = Problem(x, y, weight, Penalty(1e-2, coef=0.5, smooth=0.5), roughness=1e-3)
    evaluation = problem.restart(vector)
    # The scale of an edge has a kink where it is zero.
    layers = [(i, layer.numeric) for i, layer in enumerate(model.layers) if layer.numeric is not None]
    for i, edges in layers:
        scales = edge_scales(edges, evaluation.moments.covariance(i))
        assume(bool((scales[edges.mask > 0 if edges.mask is not None else ...] > 1e-2).all()))
    gradient = problem.normal_equations(vector, evaluation).gradient
    old, direction = vector.read(), torch.cos(torch.arange(vector.size, dtype=torch.float64))
    values = []
    for h in (1e-6, -1e-6):
        vector.write(old + h * direction)
        values.append(problem.evaluate(vector).objective)
    slope = (values[0] - values[1]) / 2e-6
    assert slope == pytest.approx(2 * float(gradient @ direction), rel=1e-4, abs=1e-4 * (1 + abs(evaluation.objective)))


LOSSES = [
    (SquaredError(), torch.tensor([[1.0, 2.0, 0.5], [0.0, 1.0, -1.0]], dtype=torch.float64)),
    (CrossEntropy(), class_targets(torch.tensor([[2.0], [0.0]], dtype=torch.float64), 3)),
    (CallableLoss(torch.nn.MSELoss()), torch.ones(2, 3, dtype=torch.float64)),
]


@pytest.mark.parametrize(("loss", "y"), LOSSES)
def test_pseudo_residuals_are_half_the_derivatives(loss, y):
    output = torch.tensor([[0.3, -1.0, 0.7], [2.0, 0.1, -0.4]], dtype=torch.float64)
    pairs = loss.pseudo_residuals(output, y)
    scale = 1 if not isinstance(loss, CallableLoss) else len(y)
    for i in range(2):

        def value(o, i=i):
            full = torch.cat([output[:i], o[None], output[i + 1 :]])
            values = loss.values(full, y)
            return values[i] if scale == 1 else scale * values[0]

        gradient = torch.autograd.functional.jacobian(value, output[i])
        hessian = torch.autograd.functional.hessian(value, output[i])
        torch.testing.assert_close(2 * sum(root[i] * z[i] for root, z in pairs), gradient)
        torch.testing.assert_close(2 * sum(torch.outer(root[i], root[i]) for root, _ in pairs), hessian)


def test_two_classes_as_one_logit():
    output, y = torch.tensor([[0.3], [-2.0]], dtype=torch.float64), torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    ((root, z),) = CrossEntropy().pseudo_residuals(output, y)
    p = output.sigmoid()
    torch.testing.assert_close(2 * root[:, 0] * z, (p - y)[:, 0])
    torch.testing.assert_close(2 * root**2, p * (1 - p))


def test_residuals_that_mix_samples_fall_back_to_the_general_jacobian():
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    model = MultKAN([1, 2, 1], grid=3, seed=0)

    def mixed(net):
        return net(x)[:, 0] - net(x)[:, 0].mean()

    problem, vector = ResidualProblem(model, mixed), ParameterVector(model)
    equations = problem.normal_equations(vector, problem.evaluate(vector))
    assert problem.is_rowwise is False
    expected = torch.autograd.functional.jacobian(lambda w: _with(model, vector, w, mixed), vector.read())
    torch.testing.assert_close(equations.gram, expected.T @ expected / 9)


def _with(model, vector, numbers, residual):
    # The residual as a function of the vector of parameters.
    names, start = {}, 0
    for slot in vector.slots:
        weight = model.layers[slot.layer].numeric.weight
        names[f"layers.{slot.layer}.numeric.weight"] = numbers[start : start + weight.numel()].view(weight.shape)
        start += weight.numel()
    return residual(lambda x: torch.func.functional_call(model, names, (x,)))


def test_the_chunk_limit_is_respected():
    model = MultKAN([2, 3, 1], grid=5, seed=0)
    problem = Problem(torch.zeros(10, 2, dtype=torch.float64), torch.zeros(10, 1, dtype=torch.float64))
    assert problem._chunk_rows(ParameterVector(model)) == problem_module.CHUNK_ENTRIES // model.n_parameters
