"""No answer depends on the unit of measure: what `fit` and the verbs return, for columns and targets in any unit.

Powers of two cost no digit, so that bits must be the same; other units cost rounding.
"""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import treeconv
from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
from kan2.errors import DataError, TrainingWarning
from kan2.estimators import KANClassifier, KANRegressor
from kan2.training.spread import rmse

EXPONENTS = st.integers(-60, 60)
TWO = st.tuples(EXPONENTS, EXPONENTS)


@cache
def table(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Columns far from [-1, 1], one positive and one of both signs, and two targets."""
    rng = np.random.default_rng(0)
    x = np.stack([rng.uniform(1, 3, n), rng.uniform(-0.4, 0.7, n)], 1)
    y = np.stack([x[:, 0] * x[:, 1] + 2, np.sin(3 * x[:, 1]) + x[:, 0] ** 2], 1)
    return x, y + 0.01 * rng.normal(size=y.shape)


WEIGHT = np.random.default_rng(1).uniform(0, 2, 60)
FITS = {
    "a sum": ([2, 1], {"smoothing": 0.0}),
    "deep": ([2, 3, 1], {"smoothing": 0.0}),
    "a product": ([2, [1, 1], 1], {"smoothing": 0.0}),
    "two outputs": ([2, 2, 2], {"smoothing": 0.0}),
    "a product at the end": ([2, [1, 1]], {"smoothing": 0.0}),
    "a small table": ([2, 1], {"rows": 14}),
    "LBFGS": ([2, 2, 1], {"opt": "LBFGS"}),
    "Adam": ([2, [0, 1], 1], {"opt": "Adam", "steps": 30}),
    "batches": ([2, 1, 1], {"opt": "Adam", "steps": 20, "batch": 20}),
    "starts": ([2, 1], {"restarts": 2, "rows": 20, "smoothing": 0.0}),
    "grids": ([2, 2, 1], {"grids": [3, 6], "smoothing": 0.0}),
    "sparse": ([2, 2, 1], {"lamb": 1e-3, "lamb_coef": 0.1, "smoothing": 0.0}),
    "validation": ([2, 2, 1], {"validation": 0.2}),
    "weights": ([2, 1, 1], {"sample_weight": WEIGHT, "smoothing": 1e-4}),
    "a loss of differences": ([2, 1, 1], {"loss": torch.nn.MSELoss(), "smoothing": 0.0}),
    "Chebyshev": ([2, 1, 1], {"basis": "chebyshev", "smoothing": 0.0}),
    "adaptive grids": ([2, 1, 1], {"grid_eps": 0.3, "smoothing": 0.0}),
}
STRUCTURE = ("basis", "grid_eps")
EXTREMES = {"in_x": (-60, 60), "in_y": (57, -60)}


def fit(name: str, in_x: tuple[int, int], in_y: tuple[int, int], dtype: torch.dtype = torch.float64) -> dict:
    """Returns what a fit in these units gives, carried back to the units of the table."""
    width, options = FITS[name]
    n_out = width[-1] if isinstance(width[-1], int) else sum(width[-1])
    unit_x, unit_y = 2.0 ** np.array(in_x), 2.0 ** np.array(in_y)[:n_out]
    options = {"steps": 6, "smoothing": None, **options}
    n_rows = options.pop("rows", 60)
    x, y = (part[:n_rows] for part in table())
    model = MultKAN(width, grid=3, dtype=dtype, **{k: options.pop(k) for k in STRUCTURE if k in options})
    history = model.fit((x * unit_x, y[:, :n_out] * unit_y), **options)
    numeric = model.layers[0].numeric
    return {
        "outputs": model.predict(x * unit_x) / unit_y,
        "grid": numeric.basis.grid.double().numpy() / unit_x[:, None],
        "deeper grids": [layer.numeric.basis.grid.numpy() for layer in model.layers[1:]],
        "loss": history["loss"],
        "rmse": None if n_out > 1 else np.array(history["rmse"]) / unit_y,
        "message": history.message,
    }


@cache
def plain(name: str, dtype: torch.dtype) -> dict:
    return fit(name, (0, 0), (0, 0), dtype)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::kan2.errors.TrainingWarning", "ignore::kan2.errors.GridWarning")
@pytest.mark.parametrize("name", FITS)
@settings(max_examples=2)
@given(in_x=TWO, in_y=TWO)
@example(**EXTREMES)
def test_powers_of_two_change_no_bit_of_a_fit(name, in_x, in_y):
    found, expected = fit(name, in_x, in_y), plain(name, torch.float64)
    for part, value in expected.items():
        np.testing.assert_equal(found[part], value, part)


@pytest.mark.parametrize("name", ["a sum", "two outputs"])
@settings(max_examples=2)
@given(in_x=TWO, in_y=TWO)
@example(**EXTREMES)
def test_float32_networks_too(name, in_x, in_y):
    found, expected = fit(name, in_x, in_y, torch.float32), plain(name, torch.float32)
    for part, value in expected.items():
        np.testing.assert_equal(found[part], value, part)


@pytest.mark.parametrize(("in_x", "in_y"), [((-60, 60), 57)])
def test_estimators(in_x, in_y):
    (x, y), unit = table(), 2.0 ** np.array(in_x)
    regressor = KANRegressor(hidden=(), grid=1, k=2, steps=3)
    expected = regressor.fit(x, y[:, 0]).predict(x)
    found = regressor.fit(x * unit, y[:, 0] * 2.0**in_y).predict(x * unit)
    np.testing.assert_equal(found / 2.0**in_y, expected)
    classifier = KANClassifier(hidden=(), grid=1, k=2, steps=2)
    labels = y[:, 0] > np.median(y[:, 0])
    expected = classifier.fit(x, labels).predict_proba(x)
    np.testing.assert_equal(classifier.fit(x * unit, labels).predict_proba(x * unit), expected)


def scaled(model, x, y, unit_y):
    """The outputs of a network that a verb returns, in the units of the table."""
    return model.predict(x) / unit_y


VERBS = {
    "attribute": lambda m, x, y, u: [part.numpy() for part in m.attribute().edges],
    "feature_score": lambda m, x, y, u: m.feature_score().numpy(),
    "feature_interaction": lambda m, x, y, u: m.feature_interaction().numpy(),
    "relevance": lambda m, x, y, u: m.relevance(steps=3, folds=2).scores,
    "prune": lambda m, x, y, u: scaled(m.prune(), x, y, u),
    "prune_input": lambda m, x, y, u: m.prune_input().spec.inputs,
    "auto_prune": lambda m, x, y, u: scaled(m.auto_prune(steps=1), x, y, u),
    "refine": lambda m, x, y, u: scaled(m.refine(6), x, y, u),
    "expand_width": lambda m, x, y, u: scaled(m.expand_width(1, 1), x, y, u),
    "auto_swap": lambda m, x, y, u: scaled(m.auto_swap(), x, y, u),
    "suggest_symbolic": lambda m, x, y, u: [(row.function, row.r2) for row in m.suggest_symbolic((1, 0, 0), top=3)],
    "suggest_symbolic of a column": lambda m, x, y, u: [
        (row.function, round(row.r2, 9)) for row in m.suggest_symbolic((0, 0, 1), top=3)
    ],
    "compare": lambda m, x, y, u: (m.compare(m.prune()).relative, m.compare(m.prune()).moved / u),
    "try_variables": lambda m, x, y, u: m.try_variables({"p": "x1*x2"}, steps=3).rmse,
    "try_function": lambda m, x, y, u: m.try_function((0, 0, 0), "x", steps=3).rmse,
}


@cache
def trained(in_x: tuple[int, int], in_y: int) -> tuple[MultKAN, np.ndarray, np.ndarray, float]:
    (x, y), unit = table(), 2.0**in_y
    x, y = x * 2.0 ** np.array(in_x), y[:, :1] * unit
    model = MultKAN([2, 2, 1], grid=3)
    model.fit((x, y), steps=8, lamb=1e-3, smoothing=0.0)
    return model, x, y, unit


@pytest.mark.filterwarnings("ignore::kan2.errors.TrainingWarning")
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("in_x", "in_y"), [((-60, 60), 57)])
def test_verbs_answer_the_same_in_every_unit(verb, in_x, in_y):
    expected, found = (VERBS[verb](*trained(*units)) for units in (((0, 0), 0), (in_x, in_y)))
    np.testing.assert_equal(found, expected)


@pytest.mark.parametrize("in_x", [-60, 60])
def test_a_shift_is_measured_in_the_unit_of_its_column(in_x):
    # In c (x + b)^2 no factor takes up the unit of x.
    def trained_in(unit):
        x = np.linspace(-1, 1, 100)[:, None]
        layers = (LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x^2"),)),)
        model = MultKAN.from_spec(NetworkSpec(layers, ("x",), ("y",)))
        with torch.no_grad():
            model.layers[0].symbolic.affine[0, 1] = 0.5 * unit
            model.layers[0].symbolic.affine[0, 2] = 2 / unit**2
        history = model.fit((x * unit, (x[:, 0] - 0.3) ** 2))
        return history["rmse"], model.predict(x * unit)

    for found, expected in zip(trained_in(2.0**in_x), trained_in(1.0)):
        np.testing.assert_equal(found, expected)


LAWS = {
    "a product": (lambda a, b: a * b, [2, [0, 1]], ((1, 3), (-1, 1))),
    "a sine": (lambda a: np.sin(3 * a), [1, 1], ((-1, 1),)),
    "an exponential": (lambda a: np.exp(a), [1, 1], ((-1, 1),)),
    "a root": (lambda a: np.sqrt(a), [1, 1], ((1, 5),)),
    "a sum": (lambda a, b: np.sin(2 * a) + b**2, [2, 1], ((-1, 1), (1, 2))),
    "a composition": (lambda a, b: np.exp(np.sin(2 * a) + b**2), [2, 1, 1], ((-1, 1), (-1, 1))),
}


def law(name: str, power_x: int, power_y: int, shift: float = 0.0) -> tuple[MultKAN, float]:
    """Returns the network of functions found in these units, and its error in spreads."""
    f, width, ranges = LAWS[name]
    u = np.stack([np.random.default_rng(i).uniform(*ends, 200) for i, ends in enumerate(ranges)], 1)
    x = (u + shift * u.std(0)) * 10.0 ** np.array([power_x, 2 - power_x])[: len(ranges)]
    y = f(*u.T) * 10.0**power_y
    model = MultKAN(width)
    model.fit((x, y))
    model = model.auto_prune().auto_symbolic()
    return model, float(np.sqrt(np.mean((model.predict(x)[:, 0] - y) ** 2)) / y.std())


def wiring(model: MultKAN) -> list[tuple]:
    return sorted((e.index, e.functions) for e in model.spec.edges())


@pytest.mark.slow
@pytest.mark.parametrize(("power_x", "power_y", "shift"), [(30, -30, 0), (-30, 30, 0), (-7, 5, 1e3), (3, -9, 1e6)])
@pytest.mark.parametrize("name", LAWS)
def test_the_same_law_in_every_unit(name, power_x, power_y, shift):
    plain_model, plain_error = law(name, 0, 0)
    model, error = law(name, power_x, power_y, shift)
    assert plain_error < 1e-14
    assert error < 1e-14 + 1e-15 * shift
    assert wiring(model) == wiring(plain_model)


SI = {
    "Kepler": (lambda a: 2 * np.pi * np.sqrt(a**3 / (6.674e-11 * 1.989e30)), [(5e10, 5e12)], "x1**(3/2)"),
    "Planck": (lambda f: 6.626e-34 * f, [(1e13, 1e15)], "x1"),
    "Coulomb": (lambda r: 8.988e9 * 1.6e-19**2 / r**2, [(1e-11, 4e-11)], "x1**(-2)"),
}


@pytest.mark.parametrize("name", SI)
def test_si_units_leave_nothing_behind(name):
    f, ranges, form = SI[name]
    x = np.stack([np.random.default_rng(i).uniform(*ends, 30) for i, ends in enumerate(ranges)], 1)
    y = f(*x.T)
    model = MultKAN([len(ranges), 1])
    model.fit((x, y))
    assert model.spec.auxiliary == ()
    grid = model.layers[0].numeric.basis.grid.numpy()
    assert (grid[:, 0] <= x.min(0)).all()
    assert (grid[:, -1] >= x.max(0)).all()
    assert model.layers[-1].node_scale.tolist() == [1.0]
    factor, rest = model.auto_symbolic().symbolic_formula().as_coeff_Mul()
    assert str(rest) == form
    assert float(factor) == pytest.approx(f(*x[0]) / float(rest.subs("x1", x[0, 0])), rel=1e-9)


@pytest.mark.parametrize("opt", ["LM", "LBFGS", "Adam"])
def test_functions_of_columns_in_any_unit_are_trained(opt):
    u = np.linspace(1, 3, 40)[:, None]
    losses = []
    for unit_x, unit_y in ((1.0, 1.0), (2.0**40, 2.0**-90), (2.0**-70, 2.0**66)):
        model = MultKAN.from_spec(NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sin"),)),)))
        with torch.no_grad():
            model.layers[0].symbolic.affine[0] = torch.tensor([1 / unit_x, 0.0, unit_y, 0.0])
        losses.append(model.fit((u * unit_x, np.sin(1.1 * u + 0.3) * unit_y), opt, steps=20)["loss"])
    np.testing.assert_equal(losses[1:], losses[:1] * 2)
    assert losses[0][-1] < 0.5 * losses[0][0]


@pytest.mark.parametrize("size", [1e22, 1e-22])
def test_hidden_nodes_of_any_size_are_read(size):
    factors = LayerSpec(2, 0, (2,), (), (SymbolicTerm(0, 0, "x"), SymbolicTerm(1, 1, "x")))
    model = MultKAN.from_spec(NetworkSpec((factors, LayerSpec(1, 1))))
    with torch.no_grad():
        model.layers[0].symbolic.affine[0, 2] = size
    x = np.random.default_rng(0).uniform(1, 3, (100, 2))
    assert model.fit((x, np.sin(x[:, 0] * x[:, 1]))).rmse < 0.05


def test_what_does_not_fit_is_said():
    x = np.linspace(1, 3, 30)[:, None]
    with pytest.raises(DataError, match="squares are finite"):
        MultKAN([1, 1]).fit((x, 1e200 * x))
    with pytest.warns(TrainingWarning, match="times the spread"):
        history = MultKAN([1, [0, 1]], base_fun="zero", grid=1, k=0).fit((x, 1e9 + np.sin(9 * x)), steps=1)
    assert history.message.startswith("failed")


@pytest.mark.parametrize(("unit", "offset", "unit_y"), [(1e20, 0.0, 1e-25), (1e-20, 0.0, 1e30), (1e-7, 1e3, 1e5)])
def test_trees_know_no_unit(unit, offset, unit_y):
    u = np.random.default_rng(0).uniform(1, 3, (300, 3))

    def f(x):
        v = x / unit - offset
        return (v[:, 0] * v[:, 1] + v[:, 2] ** 2) * unit_y

    found = treeconv.convert(f, (u + offset) * unit, names=["a", "b", "c"])
    kinds = sorted((found.nodes[n]["kind"], found.nodes[n]["inputs"]) for n in found)
    leaves = [("input", (name,)) for name in "abc"]
    assert kinds == [*leaves, ("product", ("a", "b")), ("sum", ("a", "b", "c"))]


ROBUST = {
    "L1": lambda unit: torch.nn.L1Loss(),
    "Huber": lambda unit: torch.nn.HuberLoss(delta=0.05 * unit),
    "SmoothL1": lambda unit: torch.nn.SmoothL1Loss(beta=0.05 * unit),
    "Cauchy": lambda unit: lambda output, y: ((output - y) / (0.05 * unit)).square().log1p().mean(),
    "a quantile": lambda unit: lambda output, y: torch.maximum(0.8 * (y - output), 0.2 * (output - y)).mean(),
    "relative": lambda unit: lambda output, y: ((output - y) / y).abs().mean(),
}


def robust(name: str, unit: float, **options) -> tuple[MultKAN, np.ndarray, str]:
    x, y = table()
    y = y[:, :1].copy()
    y[::12] += 9
    model = MultKAN([2, 1], grid=3)
    # Bits of late steps differ with the rounding of numbers that are no powers of two.
    history = model.fit((x, y * unit), loss=ROBUST[name](unit), **{"steps": 8, **options})
    return model, model.predict(x) / unit, history.message


@pytest.mark.parametrize("power", [-20, -3, 1, 9, 20])
@pytest.mark.parametrize("name", ROBUST)
def test_losses_of_ones_own_know_no_unit(name, power):
    (_, found, message), (_, expected, wanted) = robust(name, 10.0**power), robust(name, 1.0)
    np.testing.assert_allclose(found, expected, rtol=1e-7)
    assert message == wanted


@pytest.mark.slow
@pytest.mark.parametrize("name", ROBUST)
@pytest.mark.parametrize("power", [-60, 58])
@pytest.mark.parametrize("options", [{}, {"lamb": 1e-2, "restarts": 2}, {"opt": "LBFGS"}, {"opt": "Adam"}])
def test_powers_of_two_change_no_bit_of_losses_of_ones_own(name, power, options):
    np.testing.assert_equal(robust(name, 2.0**power, **options)[1], robust(name, 1.0, **options)[1])


@pytest.mark.parametrize("name", ["L1", "Huber", "Cauchy"])
@pytest.mark.parametrize("power", [-60, 58])
def test_what_stands_for_a_loss_of_ones_own_knows_no_unit(name, power):
    found = []
    for unit in (1.0, 2.0**power):
        model = robust(name, unit)[0]
        _, weight, trusted = model.objective.surrogate(model, model.data)
        assert float(weight.sum()) == pytest.approx(60)
        found.append((weight.tolist(), trusted))
    np.testing.assert_equal(*found)


@pytest.mark.slow
@pytest.mark.parametrize("power", [-30, 19, 25, 37])
def test_float32_networks_are_judged_in_any_unit(power):
    unit, x = 10.0**power, np.random.default_rng(0).uniform(0, 1, (80, 3))
    y = np.exp(x[:, 0]) + 3 * x[:, 1] ** 2
    model = MultKAN([3, 1], grid=3, dtype=torch.float32)
    model.fit((x, y * unit), steps=8)
    np.testing.assert_allclose(model.feature_score(), [0.5, 0.9, 0], atol=0.05)
    pruned = model.auto_prune(steps=5)
    assert [edge.index for edge in pruned.spec.edges()] == [(0, 0, 0), (0, 0, 1)]
    assert 0 < rmse(pruned, model.data) < 1e-3
    comparison = model.compare(pruned, (x, y * unit))
    assert comparison.relative < 1e-3
    assert 0 < comparison.rmse[0] < 1e-3 * unit
    assert float(model.feature_interaction().diagonal()[1]) == pytest.approx(0.6, abs=0.2)


@pytest.mark.slow
def test_float32_networks_become_formulas_in_any_unit():
    x = np.random.default_rng(0).uniform(0, 4, (40, 1))
    model = MultKAN([1, 1], grid=3, dtype=torch.float32)
    model.fit((x, np.exp(-x) * 1e25), steps=8)
    assert [edge.functions for edge in model.auto_symbolic(tries=1).spec.edges()] == [("exp",)]


def test_relevance_with_a_robust_loss_knows_no_unit():
    x = np.random.default_rng(0).uniform(0, 1, (60, 2))
    found = []
    for unit in (1.0, 1e-25, 1e25):
        model = MultKAN([2, 1], grid=3)
        model.fit((x, x[:, 0] ** 2 * unit), loss=torch.nn.HuberLoss(delta=0.1 * unit), steps=3)
        found.append(model.relevance(steps=4, folds=2, draws=4).relevant)
    assert found == [("x1",)] * 3
