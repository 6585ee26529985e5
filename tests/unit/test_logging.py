"""The log: what long runs tell it, and that nobody hears it unless a program asks."""

import logging
import subprocess
import sys

import pytest

import kanpiler
import treeconv
from kan2 import MultKAN, sample_function
from tests.training import HELLO


def texts(caplog: pytest.LogCaptureFixture, logger: str, level: int = logging.INFO) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == logger and r.levelno == level]


def test_a_training_tells_its_starts_grids_and_end(caplog):
    caplog.set_level(logging.INFO, "kan2")
    model = MultKAN([2, 1, 1], grid=3)
    history = model.fit(HELLO, restarts=3, steps=4, grids=[3, 5])
    told = texts(caplog, "kan2.training")
    assert told[0].startswith("fit: width [[2, 0], [1, 0], [1, 0]], ")
    assert told[0].endswith("numbers, 300 samples, LM")
    assert sum(text.startswith("starts: ") for text in told) >= 2
    assert [text.partition(", ")[0] for text in told if text.startswith("stage")] == [
        "stage 0: grid 3",
        "stage 1: grid 5",
    ]
    last = history.rows[-1]
    assert told[-1].startswith(f"fit: {history.message} after {last['step']} steps, loss {last['loss']:.6g}, grid 5, ")
    assert not texts(caplog, "kan2.training", logging.DEBUG)


def test_steps_are_told_on_debug_alone(caplog):
    caplog.set_level(logging.DEBUG, "kan2")
    history = MultKAN([2, 1], grid=3).fit(HELLO, steps=3)
    steps = [text for text in texts(caplog, "kan2.training", logging.DEBUG) if text.startswith("step ")]
    assert len(steps) == len(history)
    assert steps[-1].startswith(f"step {history.rows[-1]['step']}: loss {history.rows[-1]['loss']:.6g}")


def test_a_residual_and_a_small_table_are_told_too(caplog):
    caplog.set_level(logging.INFO, "kan2")
    MultKAN([2, 1], grid=3).fit(residual=lambda m: m(HELLO.X) - HELLO.y, steps=2)
    assert texts(caplog, "kan2.training")[-1].startswith("fit: reached the number of steps after 2 steps")
    caplog.clear()
    MultKAN([2, 1]).fit((HELLO.X[:30], HELLO.y[:30]))
    assert any(text.startswith("smoothing 1: expected loss on new") for text in texts(caplog, "kan2.training"))


def test_decisions_of_pruning_and_symbolification_are_told(caplog):
    data = sample_function("sin(x)", {"x": (-1, 1), "y": (-1, 1)}, n=100)
    model = MultKAN([2, 1], grid=3)
    model.fit(data, steps=10)
    caplog.set_level(logging.DEBUG, "kan2.discovery")
    caplog.set_level(logging.DEBUG, "kan2.edits")  # the handler has one level
    model.prune()
    assert texts(caplog, "kan2.edits")[-1] == "prune_edge: 1 of 2 edges stay, width [[2, 0], [1, 0]]"
    small = model.auto_prune()
    assert texts(caplog, "kan2.discovery")[-1] == "auto_prune: 1 of 2 edges stay, width [[2, 0], [1, 0]]"
    found = small.auto_symbolic()
    told = texts(caplog, "kan2.discovery")
    assert any(text.startswith("edge (0, 0, 0): sin, error ") for text in told)
    assert told[-1] == "auto_symbolic: 1 edges, 0 splines left"
    tried = texts(caplog, "kan2.discovery", logging.DEBUG)
    assert any(text.startswith("tried [((0, 0, 0), 'sin')]: error ") for text in tried)
    assert found.is_formula


def test_the_compiler_and_the_converter_tell_too(caplog):
    caplog.set_level(logging.INFO)
    network = kanpiler.compile("x*sin(y)")
    assert texts(caplog, "kanpiler") == [
        f"compile: width {network.width}, {network.spec.n_edges} edges",
        "compile: the network agrees with the formula",
    ]
    treeconv.convert(lambda x: x[:, 0] * x[:, 1], HELLO.X, ["a", "b"])
    told = texts(caplog, "treeconv")
    assert told[0] == "convert: output 0, 300 samples, the error of the model is exact"
    assert told[1].startswith("convert: product of ('a', 'b') in 2 parts, score ")


@pytest.mark.slow
def test_by_default_nothing_is_written():
    code = (
        "import kan2, kanpiler, treeconv; data = kan2.sample_function('x', {'x': (0, 1)}, n=50);"
        "model = kan2.MultKAN([1, 1], grid=3); model.fit(data, restarts=2, steps=3); model.prune();"
        "treeconv.convert(kanpiler.compile('x*y'), [[i / 20, (i * 7 % 20) / 20] for i in range(20)])"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_what_is_not_heard_costs_no_formatting(monkeypatch):
    def formats(*_: object) -> None:
        pytest.fail("a message was made though nobody listens")

    monkeypatch.setattr(logging.LogRecord, "__init__", formats)
    MultKAN([2, 1, 1], grid=3).fit(HELLO, steps=2)
