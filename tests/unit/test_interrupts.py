"""Ctrl-C: the outermost verb returns what it has, marked; inner ones hand on; nothing is left half changed."""

import subprocess
import sys
import textwrap
import time
from signal import SIGINT

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV, cross_val_score

import kan2
import treeconv
from kan2 import MultKAN, sample_function
from kan2.estimators import KANClassifier, KANRegressor
from kan2.interrupts import Interruptible
from kan2.training.compact.equations import CompactEvaluator
from kan2.training.first_order import objective
from kan2.training.problem import Problem
from tests.training import same, state

DATA = sample_function("x*y", {"x": (-1, 1), "y": (-1, 1)}, n=60, n_test=30)
BRIEF = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Countdown:
    """Raises KeyboardInterrupt at the n-th evaluation of a loss."""

    def __init__(self, patch, n):
        self.calls = 0

        def counting(evaluate):
            def counted(*arguments):
                self.calls += 1
                if self.calls == n:
                    raise KeyboardInterrupt
                return evaluate(*arguments)

            return counted

        for way in (Problem, CompactEvaluator):
            patch.setattr(way, "evaluate", counting(way.evaluate))
        patch.setattr("kan2.training.first_order.objective", counting(objective))


@pytest.fixture(scope="module")
def trained():
    model = MultKAN([2, 2, 1], grid=3)
    model.fit(DATA, steps=15)
    return model


def test_the_outermost_block_keeps_and_inner_ones_hand_on():
    with Interruptible() as outer:
        outer.has_result = True
        with Interruptible() as inner:
            inner.has_result = True
            raise KeyboardInterrupt
    assert outer.interrupted
    assert not inner.interrupted
    with Interruptible() as after:
        after.has_result = True
        raise KeyboardInterrupt
    assert after.interrupted


def interrupt_in_a_block(has_result, times=1):
    with Interruptible() as block:
        block.has_result = has_result
        try:
            raise KeyboardInterrupt
        finally:
            if times == 2:
                raise KeyboardInterrupt


@pytest.mark.parametrize(("has_result", "times"), [(False, 1), (True, 2)])
def test_a_block_without_result_and_a_second_interrupt_raise(has_result, times):
    with pytest.raises(KeyboardInterrupt):
        interrupt_in_a_block(has_result, times)


@pytest.mark.slow
@BRIEF
@given(n=st.integers(1, 60), opt=st.sampled_from(["LM", "LM", "LBFGS"]))
def test_fit_keeps_what_it_reached_or_leaves_the_network_alone(n, opt):
    model = MultKAN([2, 2, 1], grid=3)
    before = state(model)
    with pytest.MonkeyPatch.context() as patch:
        Countdown(patch, n)
        try:
            history = model.fit(DATA, opt, steps=15)
        except KeyboardInterrupt:
            assert same(before, state(model))
            return
    if history.interrupted:
        error = float((model(DATA.X) - DATA.y).detach().square().mean().sqrt())
        assert history.rmse == pytest.approx(error, rel=1e-6)
    assert bool(torch.isfinite(model(DATA.X)).all())


@settings(BRIEF, max_examples=3)
@given(n=st.integers(2, 200), verb=st.sampled_from(["auto_prune", "auto_symbolic"]))
def test_searches_return_the_best_so_far_and_leave_the_network_alone(trained, n, verb):
    before, report = state(trained), trained.report
    with pytest.MonkeyPatch.context() as patch:
        count = Countdown(patch, n)
        found = getattr(trained, verb)()
    assert found is not trained
    assert found.report.interrupted == (count.calls >= n)
    assert same(before, state(trained))
    assert trained.report is report
    assert bool(torch.isfinite(found(DATA.X)).all())
    assert found.spec.n_edges <= trained.spec.n_edges


@pytest.mark.slow
@settings(BRIEF, max_examples=3)
@given(n=st.integers(1, 200))
def test_discover_returns_a_network_as_soon_as_one_is_trained(n):
    with pytest.MonkeyPatch.context() as patch:
        count = Countdown(patch, n)
        try:
            found = kan2.discover(DATA, [2, [1, 1], 1], attempts=2, steps=10, grid=3)
        except KeyboardInterrupt:
            return
    assert found.report.interrupted == (count.calls >= n)
    assert found.report.pareto.rows
    assert "interrupted" in str(found.report) or not found.report.interrupted


def test_a_second_interrupt_ends_a_search_for_good(trained):
    before = state(trained)

    class Twice(Interruptible):
        def __exit__(self, kind, error, traceback):
            super().__exit__(kind, error, traceback)
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        Countdown(patch, 5)
        patch.setattr("kan2.discovery.prune.Interruptible", Twice)
        with pytest.raises(KeyboardInterrupt):
            trained.auto_prune()
    assert same(before, state(trained))


@pytest.mark.slow
def test_a_network_is_handed_over_as_a_whole(monkeypatch):
    model, load = MultKAN([2, 2, 1], grid=3), MultKAN.load_state_dict
    before, calls = state(model), []

    def half(network, numbers):
        calls.append(1)
        if len(calls) == 1:
            load(network, {**network.state_dict(), **dict(list(numbers.items())[:1])})
            raise KeyboardInterrupt
        return load(network, numbers)

    monkeypatch.setattr(MultKAN, "load_state_dict", half)
    with pytest.raises(KeyboardInterrupt):
        model.fit(DATA, steps=3)
    whole = MultKAN([2, 2, 1], grid=3)
    monkeypatch.undo()
    whole.fit(DATA, steps=3)
    assert same(state(whole), state(model))
    assert not same(before, state(model))


@pytest.mark.parametrize("call", [
    lambda: KANRegressor(steps=10).fit(DATA.X.numpy(), DATA.y.numpy()[:, 0]),
    lambda: KANClassifier(steps=10).fit(DATA.X.numpy(), DATA.y.numpy()[:, 0] > 0),
    lambda: MultKAN([2, 1], grid=3).try_variables({"p": "x1*x2"}, (DATA.X[:, :2], DATA.y)),
    lambda: kan2.tree(DATA),
    lambda: MultKAN([2, 1], grid=3).relevance(DATA),
    lambda: MultKAN([2, 1], grid=3).prune_irrelevant(DATA),
])  # fmt: skip
def test_what_has_nothing_to_return_raises(call, monkeypatch):
    Countdown(monkeypatch, 6)
    with pytest.raises(KeyboardInterrupt):
        call()


def test_a_search_over_settings_ends(monkeypatch):
    X, y = DATA.X.numpy(), DATA.y.numpy()[:, 0]
    for call in (
        lambda: cross_val_score(KANRegressor(steps=5), X, y, cv=3),
        lambda: GridSearchCV(KANRegressor(steps=5), {"grid": [2, 3]}, cv=2).fit(X, y),
    ):
        with pytest.MonkeyPatch.context() as patch:
            Countdown(patch, 9)
            with pytest.raises(KeyboardInterrupt):
                call()


def test_relevance_keeps_the_folds_that_were_judged():
    with pytest.MonkeyPatch.context() as patch:
        counts = []
        for n in (10**9, 0):
            count = Countdown(patch, n or counts[0] * 2 // 3)
            found = MultKAN([2, 1], grid=3).relevance(DATA)
            counts.append(count.calls)
            patch.undo()
            assert found.interrupted == (not n)
            assert set(found.scores) == {"x1", "x2"}


def interrupting_after(n, f):
    calls = []

    def model(x):
        calls.append(1)
        if len(calls) == n:
            raise KeyboardInterrupt
        return f(x)

    return model, calls


@BRIEF
@given(n=st.integers(1, 400))
def test_a_tree_grows_as_far_as_it_can(n):
    x = np.random.default_rng(0).uniform(1, 2, (100, 4))
    f = lambda x: np.stack([x[:, 0] * np.sin(x[:, 1] * x[:, 2] + x[:, 3]), x[:, 0] + x[:, 1]], 1)  # noqa: E731
    model, calls = interrupting_after(n, f)
    try:
        trees = treeconv.convert(model, x)
    except KeyboardInterrupt:
        return
    assert len(trees) == 2
    assert any(tree.graph["interrupted"] for tree in trees) == (len(calls) >= n)
    for tree in trees:
        assert treeconv.from_json(treeconv.to_json(tree)).graph["interrupted"] == tree.graph["interrupted"]
        assert tree.graph["interrupted"] == ("(interrupted)" in str(tree))
        assert set(tree.graph["names"]) == set(tree.nodes) - {n for n in tree if isinstance(n, int)}
        kan2.from_tree(tree)
        treeconv.skeleton(tree)


def test_the_tree_of_a_network_hands_an_interrupt_on(trained, monkeypatch):
    convert = treeconv.convert

    def interrupted(*arguments, **options):
        tree = convert(*arguments, **options)
        tree.graph["interrupted"] = True
        return tree

    monkeypatch.setattr(treeconv, "convert", interrupted)
    assert trained.tree().graph["interrupted"]
    with pytest.raises(KeyboardInterrupt), Interruptible():
        trained.tree()


SCRIPT = """
import signal, kan2
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
data = kan2.sample_function("exp(sin(pi*x) + y**2)*z", {"x": (-1, 1), "y": (-1, 1), "z": (1, 2)}, n=1000)
model = kan2.MultKAN([3, 8, 4, 1], grid=5)
model.fit(data, steps=3, smoothing=0.0)
print("ready", flush=True)
found = VERB
print("done", getattr(found, "interrupted", None) or found.report.interrupted, flush=True)
"""


@pytest.mark.parametrize(
    "verb",
    [pytest.param("model.fit(data, steps=100000, tolerance=0)", marks=pytest.mark.slow), "model.auto_prune()"],
)
def test_a_real_signal_ends_a_verb_within_a_second(verb):
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT).replace("VERB", verb)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(1.5)
        start = time.monotonic()
        process.send_signal(SIGINT)
        assert process.stdout.readline() == "done True\n"
        assert time.monotonic() - start < 1
