"""Test errors where something else is better than a KAN: small noisy tables, oblique jumps, a symbolic regressor.

Tables ship with scikit-learn or are drawn; a third is held out, three times. The hidden layer and the sparsity penalty
of the KAN and the penalty of the ridge are chosen by cross-validation on the rest; the other models are used as
scikit-learn gives them. Formulas: `kan2.discover` beside Operon (Burlacu et al., GECCO 2020), from the same samples.
"""

import statistics
import time
import warnings
from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import kan2
from benchmarks._timing import machine
from case_studies._judging import rmse
from case_studies._results import table
from kan2.estimators import KANRegressor

SEEDS = range(3)
FORMULAS = {  # with the ranges of the samples
    "a + b*c": {"a": (0, 2), "b": (0, 2), "c": (0, 2)},
    "a*b*(1 + c*cos(d))": {"a": (0, 2), "b": (0, 2), "c": (0, 2), "d": (0, 6.28)},
    "(1 + a*b)/(1 + a)": {"a": (0, 2), "b": (0, 2)},
    "(a + b)/(1 + a*b)": {"a": (-0.9, 0.9), "b": (-0.9, 0.9)},
    "exp(sin(pi*a) + b**2)": {"a": (-1, 1), "b": (-1, 1)},
}


def tables() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns samples and targets by name."""
    diabetes: Any = load_diabetes()
    plane = np.random.default_rng(0).uniform(-1, 1, (1000, 2))
    chequers = np.sign(np.sin(5 * (plane[:, 0] + plane[:, 1])) * np.sin(5 * (plane[:, 0] - 0.5 * plane[:, 1])))
    return {
        "diabetes, 442 x 10": (diabetes.data, diabetes.target),
        "Friedman 1, noise 1, 300 x 10": make_friedman1(300, noise=1.0, random_state=0),
        "oblique chequers, 1000 x 2": (plane, chequers),
    }


def models(seed: int) -> dict[str, Any]:
    """Returns what is compared."""
    settings = {"hidden": [(), (4,)], "lamb": [1e-3, 1e-2]}
    kan: Any = KANRegressor(grid=3, steps=30, random_state=seed)
    return {
        "KAN": GridSearchCV(kan, settings, scoring="neg_mean_squared_error", cv=3),
        "ridge regression": RidgeCV(np.logspace(-3, 3, 13)),
        "MLP [64, 64]": MLPRegressor(hidden_layer_sizes=(64, 64), max_iter=500, random_state=seed),
        "gradient boosting": HistGradientBoostingRegressor(random_state=seed),
        "random forest": RandomForestRegressor(random_state=seed),
    }


def compare_tables() -> list[list[str]]:
    """Returns a row a table: medians of RMSE over the spread of the targets."""
    rows = []
    for name, (x, y) in tables().items():
        errors: dict[str, list[float]] = {}
        for seed in SEEDS:
            split: Any = train_test_split(x, y, test_size=1 / 3, random_state=seed)
            train_x, test_x, train_y, test_y = split
            for kind, model in models(seed).items():
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    found = make_pipeline(StandardScaler(), model).fit(train_x, train_y).predict(test_x)
                errors.setdefault(kind, []).append(rmse(found, test_y) / float(test_y.std()))
        print(name, errors, flush=True)
        medians = {kind: statistics.median(values) for kind, values in errors.items()}
        best = min(medians, key=medians.__getitem__)
        cells = [f"**{value:.2f}**" if kind == best else f"{value:.2f}" for kind, value in medians.items()]
        rows.append([name, *cells])
    return rows


def compare_formulas() -> list[list[str]]:
    """Returns a row a formula: relative test RMSE and processor seconds of `discover` and of Operon."""
    from pyoperon.sklearn import SymbolicRegressor

    rows = []
    for formula, ranges in FORMULAS.items():
        data = kan2.sample_function(formula, ranges, n=500, n_test=2000)
        assert data.X_test is not None
        assert data.y_test is not None
        test_x, test_y = data.X_test.numpy(), data.y_test[:, 0].numpy()
        cells = []
        for kind in ("discover", "Operon"):
            start = time.process_time()
            if kind == "discover":
                found: Any = kan2.discover(data, [len(ranges), [1, 1], 1], attempts=1)
            else:
                found = SymbolicRegressor(
                    allowed_symbols="add,sub,mul,div,exp,log,sin,cos,sqrt,constant,variable",
                    optimizer_iterations=5,
                    max_evaluations=200_000,
                    n_threads=1,
                    random_state=0,
                ).fit(data.X.numpy(), data.y[:, 0].numpy())
            seconds = time.process_time() - start
            error = rmse(found.predict(test_x), test_y) / test_y.std()
            cells += [f"{error:.1e}", f"{seconds:.0f}"]
        print(formula, cells, flush=True)
        rows.append([f"`{formula}`", *cells])
    return rows


def main() -> str:
    """Runs the comparisons and returns their section."""
    header = ["table", *models(0)]
    return (
        "## Where something else is better\n\n"
        f"RMSE over the spread of the targets, a third held out, medians of {len(SEEDS)} splits, the best in bold. "
        f"{machine()}\n\n"
        f"{table(header, compare_tables())}\n\n"
        "From 500 samples to a formula: test RMSE over the spread, processor seconds; one attempt of `kan2.discover` "
        "from [n, [1, 1], 1], Operon with 200,000 evaluations.\n\n"
        f"{table(['formula', 'discover', 's', 'Operon', 's'], compare_formulas())}\n"
    )
