"""The scikit-learn estimators: its own checks, names, weights, scales, pipelines."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sympy
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

from kan2.errors import GridWarning, UnknownNameError
from kan2.estimators import KANClassifier, KANFormulaRegressor, KANRegressor


@pytest.fixture
def table() -> pd.DataFrame:
    values = np.random.default_rng(0).uniform(1, 2, (200, 2))
    return pd.DataFrame(values, columns=["length", "mass"])


# It hands in wrong types on purpose.
@pytest.mark.usefixtures("unchecked")
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::kan2.errors.GridWarning")
@pytest.mark.parametrize(
    ("estimator", "check"),
    [
        pytest.param(
            estimator,
            check,
            id=f"{type(estimator).__name__}-{check.func.__name__}-{i}",
        )
        for e in (KANRegressor(), KANClassifier(), KANFormulaRegressor(work=0.2))
        for i, (estimator, check) in enumerate(estimator_checks_generator(e))
    ],
)
def test_checks_of_scikit_learn(estimator, check):
    state = np.random.get_state()  # noqa: NPY002
    check(estimator)
    if check.func.__name__ == "check_methods_sample_order_invariance":  # this check shuffles with NumPy's global state
        np.random.set_state(state)  # noqa: NPY002


@pytest.mark.parametrize("hidden", [(), ([1, 1],)])
def test_weights_count_samples(table, hidden):
    x, y = table.to_numpy(), (table["length"] * table["mass"]).to_numpy() + np.random.default_rng(1).normal(size=200)
    counts = np.random.default_rng(2).integers(0, 3, 200)
    weighted = KANRegressor(hidden=hidden, grid=2, steps=10).fit(x, y, sample_weight=counts)
    repeated = KANRegressor(hidden=hidden, grid=2, steps=10).fit(np.repeat(x, counts, axis=0), np.repeat(y, counts))
    np.testing.assert_allclose(weighted.predict(x), repeated.predict(x), rtol=1e-9)


@pytest.mark.slow
def test_names_of_columns_reach_the_formula(table):
    y = (table["length"] ** 2 * 3 + table["mass"]).rename("energy")
    regressor = KANRegressor(hidden=()).fit(table, y)
    assert regressor.model_.spec.inputs == ("length", "mass")
    assert regressor.model_.spec.outputs == ("energy",)
    length, mass = sympy.symbols("length mass")
    difference = regressor.formula() - (3 * length**2 + mass)
    assert abs(float(difference.subs({length: 1.3, mass: 1.7}))) < 1e-3
    assert regressor.score(table, y) > 1 - 1e-9


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_predictions_have_the_shape_of_the_targets(table, shape):
    y = table["mass"].to_numpy().reshape(shape)
    assert KANRegressor(hidden=()).fit(table.to_numpy(), y).predict(table.to_numpy()).shape == y.shape


def test_units_do_not_matter(table):
    x, y = table.to_numpy(), (table["length"] * table["mass"]).to_numpy()
    for scale_x, scale_y in ((1, 1), (1e5, 1e-6), (1e-4, 1e7)):
        regressor = KANRegressor(hidden=([1, 1],), steps=30).fit(x * scale_x, y * scale_y)
        assert regressor.score(x * scale_x, y * scale_y) > 0.999, (scale_x, scale_y)


def test_weights(table):
    x, y = table.to_numpy(), table["mass"].to_numpy().copy()
    y[:50] = 100
    weight = np.ones(200)
    weight[:50] = 0
    regressor = KANRegressor(hidden=()).fit(x, y, weight)
    assert regressor.score(x[50:], y[50:]) > 0.9999


def test_pipelines_and_searches(table):
    pipeline = make_pipeline(StandardScaler(), KANRegressor(hidden=(), steps=10))
    search = GridSearchCV(pipeline, {"kanregressor__grid": [2, 4]}, cv=2)
    assert search.fit(table, np.sin(table["mass"])).score(table, np.sin(table["mass"])) > 0.99


@pytest.mark.slow
def test_seeds(table):
    x, y = table.to_numpy(), table["mass"].to_numpy()
    first, again, other = (
        KANRegressor(hidden=(2,), steps=2, random_state=seed).fit(x, y).predict(x) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    KANRegressor(hidden=(2,), steps=2, random_state=None).fit(x, y)
    KANRegressor(hidden=(2,), steps=2, random_state=np.random.RandomState(0)).fit(x, y)


@pytest.mark.slow
@pytest.mark.parametrize("n_classes", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_classes(table, n_classes):
    labels = np.array(["low", "middle", "top"])[:n_classes]
    product = (table["length"] * table["mass"]).to_numpy()
    y = labels[np.digitize(product, np.quantile(product, np.arange(1, n_classes) / n_classes))]
    classifier = KANClassifier(hidden=([1, 1],), random_state=1).fit(table, y)
    assert classifier.classes_.tolist() == sorted(labels)
    assert classifier.score(table, y) > 0.95
    chances = classifier.predict_proba(table)
    np.testing.assert_allclose(chances.sum(1), 1)
    assert (classifier.classes_[chances.argmax(1)] == classifier.predict(table)).all()
    assert classifier.model_.spec.inputs == ("length", "mass")
    assert classifier.decision_function(table).shape == ((200,) if n_classes == 2 else (200, 3))


def test_the_formula_of_a_classifier_is_that_of_its_logits(table):
    y = table["length"] ** 2 + 0.3 * np.random.default_rng(0).normal(size=200) > 2.2
    classifier = KANClassifier(hidden=(), grid=1, k=1, base_fun="zero", label_smoothing=0.1).fit(table, y)
    length, mass = sympy.symbols("length mass")
    formula = sympy.lambdify((length, mass), classifier.formula(digits=None))
    logits = formula(table["length"].to_numpy(), table["mass"].to_numpy())
    np.testing.assert_allclose(logits, classifier.decision_function(table), atol=0.3)


def test_logits_stay_bounded_where_classes_can_be_separated():
    x = np.concatenate([np.linspace(0, 1, 50), np.linspace(2, 3, 50)])[:, None]
    y = np.repeat([0, 1], 50)
    largest = [
        np.abs(KANClassifier(hidden=(), label_smoothing=smoothing).fit(x, y).decision_function(x)).max()
        for smoothing in (0.0, 0.02)
    ]
    assert largest[1] < 6 < largest[0]


def test_one_class_is_refused(table):
    with pytest.raises(ValueError, match="at least two classes"):
        KANClassifier().fit(table, np.ones(200))


def test_refusals(table):
    with pytest.raises(UnknownNameError, match="'LM'"):
        KANRegressor(opt="LMM").fit(table, table["mass"])
    with pytest.warns(GridWarning, match="capped"):
        KANRegressor(hidden=(), grid=30).fit(table[:10], table["mass"][:10])


def test_formula_of_a_classifier_of_noisy_labels_costs_little():
    x = np.random.default_rng(0).uniform(-2, 2, (600, 2))
    noise = np.random.default_rng(1).logistic(size=600)
    labels = (3 * x[:, 0] ** 2 - 4 * x[:, 1] - 3 + noise) > 0
    classifier = KANClassifier(hidden=(), grid=3, lamb=1e-3).fit(x, labels)
    model = classifier.symbolic_model()
    assert not any(edge.is_numeric for edge in model.spec.edges())
    found = model.predict(x)[:, 0] > 0
    assert np.mean(found == labels) > classifier.score(x, labels) - 0.02


@pytest.mark.slow
@pytest.mark.parametrize("kind", [KANRegressor, KANClassifier])
def test_formulas_survive_pickling_and_know_the_weights(table, kind):
    x = table.to_numpy()
    y = x[:, 0] ** 2 if kind is KANRegressor else (x[:, 0] ** 2 > 1).astype(int)
    weight = np.ones(len(y))
    weight[:20] = 0
    weight[20:40] = 1e-9
    y[20:40] = y[20:40] + 5 if kind is KANRegressor else 1 - y[20:40]
    fitted = kind(hidden=(), grid=3, steps=20).fit(x, y, sample_weight=weight)
    formula = fitted.formula()
    assert pickle.loads(pickle.dumps(fitted)).formula() == formula
    if kind is KANRegressor:
        assert str(formula) == "x1**2"
