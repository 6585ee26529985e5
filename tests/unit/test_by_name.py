"""Columns are taken by their names: by every function that takes data, in whatever order they stand."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from jaxtyping import TypeCheckError

import kan2
from kan2 import Dataset, MultKAN
from kan2.core.data import as_dataset
from kan2.core.order import in_order
from kan2.errors import DataError, DataWarning, Kan2Error, OptionError, ShapeError, UnknownNameError
from kan2.estimators import KANClassifier, KANRegressor

X = np.random.default_rng(0).uniform(-1, 1, (60, 2))
TABLE = pd.DataFrame({"a": X[:, 0], "flow rate": X[:, 1]})
TABLE["y"] = TABLE["a"] ** 3 + 0.1 * TABLE["flow rate"]
SHUFFLED = TABLE[["y", "flow rate", "a"]].assign(more=1.0)


@pytest.fixture(scope="module")
def model():
    network = MultKAN([2, 1])
    network.fit(TABLE, target="y", steps=10)
    return network


@pytest.fixture
def path(tmp_path):
    SHUFFLED.to_csv(tmp_path / "table.csv", index=False)
    return str(tmp_path / "table.csv")


def test_a_fit_takes_the_columns_of_a_table(model, path):
    assert (model.spec.inputs, model.spec.outputs) == (("a", "flow rate"), ("y",))
    for data in ((TABLE[["a", "flow rate"]], TABLE.y), (SHUFFLED[["flow rate", "a"]], TABLE.y)):
        other = MultKAN([2, 1], inputs=["a", "flow rate"])
        other.fit(data, steps=10)
        np.testing.assert_array_equal(other.predict(X), model.predict(X))
    other = MultKAN([2, 1], inputs=["a", "flow rate"], outputs=["y"])
    other.fit(path, steps=10)  # both names are known
    np.testing.assert_allclose(other.predict(X), model.predict(X), rtol=1e-12)


@pytest.mark.parametrize("kind", [lambda t: t, pl.from_pandas, lambda t: t.to_dict("list"),
                                  lambda t: t.to_records(index=False)])  # fmt: skip
def test_outputs_do_not_depend_on_the_order_of_columns(model, kind):
    expected = model.predict(X)
    np.testing.assert_array_equal(model.predict(kind(SHUFFLED)), expected)
    np.testing.assert_array_equal(model(kind(SHUFFLED)).detach().numpy(), expected)
    np.testing.assert_array_equal(model.trace(kind(SHUFFLED)).layers[-1].outputs.detach().numpy(), expected)
    np.testing.assert_array_equal(model.jet(kind(SHUFFLED), order=1).value.detach().numpy(), expected)


def test_a_missing_column_is_refused(model):
    for call in (model.predict, model, model.attribute, model.feature_score, model.prune_edge, model.tree):
        with pytest.raises(UnknownNameError, match=r"without .flow rate.\. Did you mean .flow_rate."):
            call(SHUFFLED.rename(columns={"flow rate": "flow_rate"}))
    with pytest.raises(UnknownNameError, match="without 'flow rate'"):
        model.fit((TABLE[["a", "y"]], TABLE.y))


VERBS = {
    "attribute": {}, "feature_score": {}, "feature_interaction": {}, "prune": {}, "prune_node": {}, "prune_edge": {},
    "prune_input": {}, "auto_swap": {}, "plot_scores": {}, "relevance": {"folds": 2, "draws": 3, "steps": 3},
    "suggest_symbolic": {"edge": (0, 0, 0)}, "plot_edge": {"edge": (0, 0, 0)}, "get_fun": {"edge": (0, 0, 0)},
    "get_range": {"edge": (0, 0, 0)}, "remove_edge": {"edge": (0, 0, 1)}, "plot": {},
    "fix_symbolic": {"edge": (0, 0, 0), "function": "x^3"},
}  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_verbs_take_tables_and_paths(model, verb, path):
    def result(data, **options):
        found = getattr(model, verb)(data=data, **VERBS[verb], **options)
        if hasattr(found, "spec"):
            return found.predict(X)
        if hasattr(found, "savefig"):
            return len(found.axes)
        return found.inputs if hasattr(found, "inputs") else found.scores if hasattr(found, "scores") else found

    expected = result((X, TABLE.y.to_numpy()))
    for found in (result(SHUFFLED), result(path), result(SHUFFLED, target="y"), result(path, target="y")):
        if isinstance(expected, dict):
            assert {k: pytest.approx(v, rel=1e-9) for k, v in expected.items()} == found
        elif isinstance(expected, np.ndarray | torch.Tensor):
            np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-9, atol=1e-12)
        else:
            assert str(found) == str(expected)


def test_a_target_beside_arrays_is_refused(model):
    with pytest.raises(DataError, match="target= beside a table as a whole"):
        model.attribute((X, TABLE.y), target="y")
    with pytest.raises(DataError, match="beside a pair"):
        MultKAN([2, 1]).fit((X, TABLE.y), target="y")
    with pytest.raises(DataError, match="target= beside a table"):
        model.attribute(target="y")


def test_a_table_without_a_target_is_refused():
    with pytest.raises(DataError, match="expected target=, the name of the column to explain, got a table of a, "):
        MultKAN([2, 1]).fit(TABLE.rename(columns={"y": "z"}))
    with pytest.raises(UnknownNameError, match=r"unknown column .z.\..*Known: a, flow rate, y"):
        MultKAN([2, 1]).fit(TABLE, target="z")
    with pytest.raises(DataError, match="inputs without the target, got y"):
        Dataset.of(TABLE, ["a", "y"], "y")


def test_what_holds_no_numbers_is_left_out_of_a_table_and_said():
    mixed = TABLE.assign(name="Mars", day=pd.Timestamp("2020-01-01"))
    with pytest.warns(DataWarning, match=r"left out what holds no numbers: 'name' \(text\), 'day' \(dates\)"):
        data = Dataset.of(mixed, target="y")
    assert data.inputs == ("a", "flow rate")
    with pytest.raises(DataError, match=r"text .*in column .name."):
        Dataset.of(mixed, ["a", "name"], "y")
    with pytest.raises(DataError, match="a column of numbers beside the target"):
        Dataset.of(mixed[["name", "y"]], target="y")


def test_several_targets():
    data = Dataset.of(SHUFFLED, ["a"], ["y", "more"])
    assert (data.inputs, data.outputs, data.y.shape) == (("a",), ("y", "more"), (60, 2))


def test_data_of_other_columns_are_refused_and_reordered():
    data = as_dataset((SHUFFLED[["more", "flow rate", "a"]], TABLE.y))
    assert torch.equal(in_order(data, ["a", "flow rate"], "fit").X, torch.tensor(X))
    with pytest.raises(UnknownNameError, match="without 'b'"):
        in_order(data, ["b"], "fit")


@pytest.mark.slow
def test_trees_and_auxiliary_variables_of_a_table(path):
    assert kan2.tree(path, names=["a", "flow rate"], target="y").nodes[0]["kind"] == "sum"
    data = kan2.augment(path, {"s": "a + `flow rate`"}, names=["a", "flow rate"], target="y")
    assert data.feature_names == ("a", "flow rate", "s")


def test_estimators_take_columns_by_name(path):
    regressor = KANRegressor(hidden=(), steps=10).fit(TABLE, target="y")
    assert regressor.feature_names_in_.tolist() == ["a", "flow rate"]
    expected = regressor.predict(TABLE[["a", "flow rate"]])
    for frame in (SHUFFLED, pl.from_pandas(SHUFFLED), path):
        np.testing.assert_allclose(regressor.predict(frame), expected, rtol=1e-12)
    with pytest.raises(UnknownNameError, match="without 'flow rate'"):
        regressor.predict(TABLE[["a"]])
    with pytest.raises(DataError, match="y or target="):
        KANRegressor().fit(TABLE, TABLE.y, target="y")
    labelled = SHUFFLED.assign(y=np.where(SHUFFLED.y > 0, "up", "down"))
    classifier = KANClassifier(hidden=(), steps=5).fit(labelled, target="y")
    assert classifier.classes_.tolist() == ["down", "up"]
    assert np.mean(classifier.predict(labelled[["more", "a", "flow rate"]]) == labelled.y) > 0.9


@pytest.mark.parametrize("fields", [
    {"X": torch.ones(3), "y": torch.ones(3, 1)}, {"X": torch.ones(3, 1), "y": torch.ones(2, 1)},
    {"X": torch.ones(3, 2), "y": torch.ones(3, 1)}, {"X": torch.ones(3, 1), "y": torch.ones(3)},
    {"X": torch.ones(3, 1), "y": torch.ones(3, 1), "outputs": ("a", "b")},
    {"X": torch.ones(3, 1), "y": torch.ones(3, 1), "X_test": torch.ones(2, 2), "y_test": torch.ones(2, 1)},
])  # fmt: skip
def test_a_dataset_that_contradicts_itself_is_refused(fields):
    with pytest.raises(Exception, match=r"Dataset: expected|Type-check"):
        Dataset(**{"inputs": ("x",), **fields})


def test_functions_of_one_row_are_refused():
    for f in (lambda x: x[0] * x[1], lambda x: x.sum(), lambda x: 3.0, lambda x: x[:, None]):
        with pytest.raises(ShapeError, match=r"write x\[:, 0\]"):
            kan2.sample_function(f, [(-1, 1)] * 2)
    with pytest.raises(ShapeError, match=r"write x\[:, 0\]"):  # two samples of two variables
        kan2.sample_function(lambda x: x[0] * x[1], [(-1, 1)] * 2, n=1, n_test=1)
    assert kan2.sample_function(lambda x: x[:, 0].numpy() > 0, [(-1, 1)] * 2, n=5).y.dtype == torch.float64


@pytest.mark.parametrize("call", [
    lambda m: m.fit(TABLE, target="y", stpes=3), lambda m: m.prune(edge_the=1), lambda m: m.plot(skale=2),
    lambda m: m.symbolic_formula(digit=3), lambda m: m.refine(grd=3), lambda m: MultKAN([2, 1], gird=3),
    lambda m: kan2.tree(TABLE, target="y", sead=1), lambda m: m.tree(eror=1), lambda m: m.auto_symbolic(libary=["x"]),
    lambda m: kan2.sample_function("x", {"x": (0, 1)}, nn=3), lambda m: KANRegressor(hiden=3),
    lambda m: m.prune_irrelevant(fold=3), lambda m: MultKAN.load("x.kan", maplocation="cpu"), lambda m: m.save(pth="x"),
    lambda m: kan2.augment(TABLE, {}, targt="y"), lambda m: kan2.functions.register(functon="x"),
])  # fmt: skip
def test_misspelt_options_are_refused_with_what_was_meant(model, call):
    with pytest.raises(OptionError, match=r"unknown option '.*'\. Did you mean|unknown option 'nn'"):
        call(model)
    assert issubclass(OptionError, TypeError)
    assert issubclass(OptionError, Kan2Error)


XS = pd.DataFrame({"x2": X[:, 1], "x1": X[:, 0]})
YS = pd.DataFrame({"v": X[:, 1] ** 2, "u": X[:, 0]})


def test_columns_that_are_called_as_columns_without_names_go_by_name():
    network = MultKAN([2, 1])
    network.fit((X, TABLE.y), steps=10)
    assert network.fit((XS, TABLE.y), steps=0).rmse == pytest.approx(network.fit((X, TABLE.y), steps=0).rmse)
    expected = network.predict(X)
    np.testing.assert_array_equal(network.predict(XS), expected)
    scores = network.attribute((X, TABLE.y)).inputs
    assert network.attribute((XS, TABLE.y)).inputs == pytest.approx(scores)
    assert network.attribute(Dataset.of((XS, TABLE.y))).inputs == pytest.approx(scores)
    crossed = MultKAN([2, 1], inputs=["x2", "x1"])
    crossed.fit((X[:, ::-1], TABLE.y), steps=10)  # arrays go by position
    np.testing.assert_allclose(crossed.predict(XS), expected, atol=1e-4)
    history = network.fit((X, TABLE.y), test=(XS, TABLE.y), steps=0)
    assert history.test_rmse == pytest.approx(history.rmse)


def test_several_targets_go_by_name():
    network = MultKAN([2, 2])
    network.fit((X, YS[["u", "v"]]), steps=10)
    assert network.spec.outputs == ("u", "v")
    assert network.fit((X, YS), steps=0).rmse < 1e-4
    whole = XS.assign(u=YS.u, v=YS.v)
    assert network.fit(whole, target=["v", "u"], steps=0).rmse < 1e-4
    assert network.fit((X, YS), test=(X, YS), steps=0).test_rmse < 1e-4
    named = MultKAN([2, 2], outputs=["u", "v"])
    named.fit(whole, target=["v", "u"], steps=10)
    np.testing.assert_allclose(named.predict(whole), YS[["u", "v"]], atol=1e-4)
    with pytest.raises(ShapeError, match="expected the targets u, v, got w, u"):
        network.fit((X, YS.rename(columns={"v": "w"})))
    regressor = KANRegressor(hidden=(), steps=10).fit(X, YS)
    assert regressor.model_.spec.outputs == ("v", "u")


def test_another_definition_keeps_the_columns_of_the_network():
    network = MultKAN([3, 1])
    network.fit(kan2.augment(TABLE, {"s": "a*`flow rate`"}, target="y"), steps=10)
    network.fit(kan2.augment(SHUFFLED, {"s": "a + `flow rate`"}, names=["flow rate", "a"], target="y"), steps=0)
    assert network.spec.inputs == ("a", "flow rate")


@pytest.mark.parametrize("names", [["a", "a"], 5, [], [3], {"a", "y"}])
def test_names_that_are_none_are_refused(names):
    for call in (lambda: Dataset.of(TABLE, names, "y"), lambda: Dataset.of(TABLE, ["a"], names),
                 lambda: KANRegressor().fit(TABLE, target=names)):  # fmt: skip
        with pytest.raises((Kan2Error, TypeCheckError)):
            call()


@pytest.mark.parametrize("key", ["test_input", "test_imput"])
def test_half_of_the_test_data_is_refused(key):
    with pytest.raises(Kan2Error, match="test_input"):
        as_dataset({"train_input": X, "train_label": TABLE.y, key: X})


def test_test_data_of_another_width_are_refused():
    for held in ({"test": (X, YS)}, {"validation": (X[:, :1], TABLE.y)}):
        with pytest.raises(ShapeError, match="test or validation data with 2 inputs and 1 outputs"):
            MultKAN([2, 1]).fit((X, TABLE.y), **held)


def test_validation_may_be_a_file(path):
    history = MultKAN([2, 1]).fit(TABLE, target="y", validation=path, test=path, steps=3)
    assert history.test_rmse is not None


@pytest.mark.parametrize("weight", [np.ones(60) * 1j, ["2"] * 60, np.ma.masked_greater(np.arange(60.0), 3)])
def test_weights_that_are_no_numbers_are_refused(weight):
    with pytest.raises(Kan2Error, match="sample_weight: expected numbers"):
        MultKAN([2, 1]).fit((X, TABLE.y), sample_weight=weight)


@pytest.mark.slow
def test_views_that_run_backwards_and_tensors_with_gradients_are_read():
    x, y = torch.tensor(X, requires_grad=True), torch.tensor(TABLE.y, requires_grad=True)
    for data in ((X[::-1], TABLE.y[::-1]), (x, y), ({"a": x[:, 0], "b": x[:, 1]}, TABLE.y)):
        MultKAN([2, 1]).fit(data, steps=2, sample_weight=np.ones(60)[::-1])
    KANRegressor(hidden=(), steps=2).fit(X[::-1], TABLE.y.to_numpy()[::-1])
    KANClassifier(hidden=(), steps=2).fit(X[::-1], (TABLE.y > 0).to_numpy()[::-1])
    with pytest.raises(DataError, match="masked ones"):
        KANClassifier().fit(X, np.ma.masked_greater(np.arange(60) % 2, 0))
