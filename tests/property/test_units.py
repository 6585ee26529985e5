"""No answer depends on the unit of measure: what `fit` and the verbs return, for columns and targets in any unit.

Powers of two cost no digit, so that bits must be the same; other units cost rounding.
"""

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kan2 import MultKAN
from kan2.errors import TrainingWarning
from kan2.estimators import KANClassifier, KANRegressor

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
    "starts": ([2, 1, 1], {"restarts": 2, "smoothing": 0.0}),
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
