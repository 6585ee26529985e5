"""The run of `fit`: histories, validation, callbacks, interrupts, checkpoints, progress."""

import copy
import io

import pytest
import torch

from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, sample_function
from kan2.training import History, fit
from kan2.training.compact.equations import CompactEvaluator
from kan2.training.problem import Problem
from tests.training import HELLO, fitted, rmse, same, state


@pytest.mark.parametrize("opt", ["LM", "LBFGS", "Adam"])
def test_the_same_seed_gives_the_same_bits(opt):
    options = {"opt": opt, "batch": 50 if opt == "Adam" else None, "restarts": 3 if opt == "LM" else 1}
    (a, first), (b, second) = fitted(**options), fitted(**options)
    assert same(state(a), state(b))
    assert first["loss"] == second["loss"]


def test_validation_restores_the_best_and_patience_stops():
    noisy = sample_function("sin(3*x)", {"x": (-1, 1)}, n=40, noise=0.5, seed=1)
    model = MultKAN([1, 3, 1], grid=8)
    history = fit(model, noisy, validation=0.4, patience=5, tolerance=0.0)
    assert "no lower validation loss in 5 steps" in history.message
    best = min(range(len(history)), key=lambda i: history["val_loss"][i])
    assert best == len(history) - 6
    held = copy.deepcopy(MultKAN([1, 3, 1], grid=8))
    fit(held, noisy, validation=0.4, steps=best, tolerance=0.0)
    torch.testing.assert_close(held(noisy.X), model(noisy.X))


def test_callbacks_see_each_step_and_can_stop():
    seen = []

    def watch(network, history):
        seen.append(history.rmse)
        return len(seen) == 4

    _, history = fitted(callbacks=[watch])
    assert len(seen) == 4
    assert history.message == "stopped by a callback"


def test_an_interrupt_keeps_what_was_reached():
    model = MultKAN([2, 1, 1], grid=4)

    def interrupt(network, history):
        if len(history) == 8:
            raise KeyboardInterrupt

    history = fit(model, HELLO, callbacks=[interrupt])
    assert history.message == "interrupted"
    assert history.rmse == pytest.approx(rmse(model))
    assert history.rmse < history["rmse"][0]


@pytest.mark.parametrize("way", [Problem, CompactEvaluator])
def test_an_interrupt_inside_a_step_leaves_no_trial_point(way, monkeypatch):
    model, calls, evaluate = MultKAN([2, 1, 1], grid=4), [], way.evaluate

    def interrupting(self, place):
        calls.append(1)
        if len(calls) == 12:
            raise KeyboardInterrupt
        return evaluate(self, place)

    monkeypatch.setattr(way, "evaluate", interrupting)
    history = fit(model, HELLO, lamb=0.0 if way is CompactEvaluator else 1e-6)
    assert history.message == "interrupted"
    assert history.rmse == pytest.approx(rmse(model))


@pytest.mark.parametrize(
    ("opt", "grids", "frozen"),
    [("LM", [3, 6], False), ("LM", [3, 6], True), ("LBFGS", [3], False), ("Adam", [3], False)],
)
def test_a_resumed_run_gives_the_same_bits(opt, grids, frozen, tmp_path):
    options = {"opt": opt, "grids": grids, "steps": 12, "tolerance": 0.0, "validation": 0.2}
    options |= {"batch": 64} if opt == "Adam" else {}
    whole = MultKAN([2, 2, 1], grid=3)
    if frozen:
        whole.layers[1].requires_grad_(False)
    path, half, again = tmp_path / "run.pt", copy.deepcopy(whole), copy.deepcopy(whole)
    expected = fit(whole, HELLO, **options)

    def crash(network, history):
        if len(history) == (18 if opt == "LM" else 9):
            raise OSError("power cut")

    with pytest.raises(OSError, match="power cut"):
        fit(half, HELLO, **options, checkpoint=path, checkpoint_every=4, callbacks=[crash])
    history = fit(again, HELLO, **options, checkpoint=path, checkpoint_every=4, resume=True)
    assert same(state(whole), state(again))
    assert history["loss"] == expected["loss"]


def test_progress_is_shown_only_on_demand(capsys):
    fitted()
    assert capsys.readouterr().out == ""
    fitted(progress=True)
    assert "fit" in capsys.readouterr().out


def test_history_is_a_table():
    _, history = fitted()
    frame = history.to_frame()
    assert list(frame["step"]) == list(range(len(history)))
    assert history["rmse"] == list(frame["rmse"])
    assert history.seconds > 0
    assert "rmse" in repr(history)
    assert repr(History()) == "History(empty)"


def test_printing_a_progress_bar_to_a_given_console():
    from rich.console import Console

    from kan2.training._progress import ProgressBar

    stream = io.StringIO()
    with ProgressBar(10, Console(file=stream)):
        pass
    assert "0/10" in stream.getvalue()


def test_a_validation_loss_that_is_no_number_is_no_best():
    layer = LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "log"),))
    model = MultKAN.from_spec(NetworkSpec((layer,), ("x",)))
    x = torch.linspace(0.5, 2, 50, dtype=torch.float64)[:, None]
    fit(model, (x, 3 * x.log()), validation=(torch.tensor([[-5.0]]), torch.tensor([0.0])), steps=20)
    torch.testing.assert_close(model(x).detach(), 3 * x.log())
