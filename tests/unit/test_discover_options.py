"""What `discover` takes, refuses and tells: width, options, limit of time, progress, and whether it has succeeded."""

import logging
import time
from dataclasses import dataclass
from logging.handlers import BufferingHandler
from typing import Any

import numpy as np
import pytest
import torch

import kan2
from kan2 import _search
from kan2.core.data import Dataset
from kan2.discovery.progress import Progress
from kan2.errors import OptionError, TrainingError, UnknownNameError

LINE = kan2.sample_function("3*x", {"x": (0, 1)}, n=40, n_test=0)


TABLE = {"a": [0.1 * i for i in range(20)], "T": [0.3 * i for i in range(20)]}


@dataclass
class Run:
    model: Any
    records: list[Progress]
    messages: list[str]


@pytest.fixture(scope="module")
def run():
    """A table, with a width, so that networks are trained, and a limit of time that is far away."""
    records: list[Progress] = []
    handler, logger = BufferingHandler(100), logging.getLogger("kan2.discover")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        found = kan2.discover(TABLE, [1, 1, 1], target="T", attempts=2, steps=10, seconds=1000, progress=records.append)
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    return Run(found, records, [record.getMessage() for record in handler.buffer])


def test_a_table_needs_no_width(run):
    for found in (run.model, kan2.discover(TABLE, target="T")):
        assert str(found.symbolic_formula()) == "3*a"
        assert found.spec.outputs == ("T",)
        assert found.report.found is True
        assert not found.report.out_of_time


@pytest.mark.parametrize(
    ("n_inputs", "n_outputs", "auxiliary", "width"),
    [
        (1, 1, (), [1, 1, 1]),
        (3, 1, (), [3, [2, 1], 1]),
        (2, 2, (), [2, [2, 1], 2]),
        (1, 1, (("square", "x0**2"),), [2, [2, 1], 1]),
    ],
)
def test_the_width_follows_the_data(n_inputs, n_outputs, auxiliary, width):
    names = tuple(f"x{i}" for i in range(n_inputs))
    data = Dataset(torch.ones(5, n_inputs), torch.ones(5, n_outputs), names, auxiliary=auxiliary)
    assert _search._width(data) == width


@pytest.mark.parametrize(
    ("options", "kind", "parts"),
    [
        ({"atempts": 3}, OptionError, ("discover: unknown option 'atempts'", "Did you mean 'attempts'")),
        ({"max_growht": 3}, OptionError, ("discover:", "Did you mean 'max_growth'?")),
        ({"model": 3}, OptionError, ("discover: unknown option 'model'",)),
        ({"steps_": 3}, OptionError, ("Did you mean 'steps'",)),
        ({"attempts": 0}, TrainingError, ("discover: expected attempts as a whole number >= 1, got 0",)),
        ({"attempts": True}, TrainingError, ("attempts",)),
        ({"seconds": -1}, TrainingError, ("discover: expected seconds as a finite number >= 0, got -1",)),
        ({"tries": 0}, TrainingError, ("discover: expected tries",)),
        ({"max_growth": 0.5}, TrainingError, ("discover: expected max_growth",)),
        ({"snap": 1}, TrainingError, ("discover: expected snap",)),
        ({"grid": 2.5}, TrainingError, ("discover: expected grid",)),
        ({"steps": -1}, TrainingError, ("discover: expected steps",)),
        ({"seed": "x"}, TrainingError, ("discover: expected seed",)),
        ({"seconds": "10"}, TrainingError, ("seconds", "'10'")),
        ({"progress": 1}, TrainingError, ("progress",)),
        ({"library": ["sni"]}, UnknownNameError, ("Did you mean", "'sin'")),
    ],
)
def test_wrong_options_are_refused_before_anything_is_trained(options, kind, parts, monkeypatch, unchecked):
    monkeypatch.setattr(_search, "_trained", lambda *_: pytest.fail("trained"))
    start = time.perf_counter()
    with pytest.raises(kind) as caught:
        kan2.discover(LINE, [1, 1, 1], **options)
    assert time.perf_counter() - start < 0.5
    assert all(part in str(caught.value) for part in parts), caught.value


@pytest.mark.slow
def test_every_option_of_auto_symbolic_goes_through():
    data = kan2.sample_function("2*x", {"x": (0, 1)}, n=40, n_test=0)
    found = kan2.discover(
        data, [1, 1], attempts=1, steps=5, tries=2, max_growth=1.5, snap=False, accuracy=1e-6, weight_simple=0.3
    )
    assert found.report.snap is None


def test_it_tells_how_far_it_is(run):
    records = run.records
    assert [r.message for r in records][:2] == ["training", "pruning"]
    assert {r.attempts for r in records} == {2}
    assert records[0].error is None
    assert records[0].attempt == 1
    best = [r for r in records if r.is_best]
    assert best[-1].error is not None
    assert best[-1].error < 1e-9
    assert best[-1].formula == "3*a"
    seconds = [r.seconds for r in records]
    assert seconds == sorted(seconds)
    with pytest.raises(AttributeError):
        best[-1].error = 0.0  # pyright: ignore[reportAttributeAccessIssue]


def test_it_writes_to_its_log(run):
    assert run.messages[0] == "attempt 1 of 2"
    assert run.messages[-1].endswith(": 3*a")
    assert "a formula, error" in run.messages[-1]


def test_too_few_rows_for_the_numbers_are_no_law():
    x = torch.linspace(0, 1, 16, dtype=torch.float64)[:, None]
    noise = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(8)[:, None]
    many = kan2.MultKAN([1, 1], inputs=["x"]).fix_symbolic((0, 0, 0), "sin", affine=(1.3, 0.2, 1.7, 0.1))
    one = kan2.MultKAN([1, 1], inputs=["x"]).fix_symbolic((0, 0, 0), "x", affine=(1, 0, 1.7, 0))
    for model, is_law in ((many, False), (one, True)):
        with torch.no_grad():
            # An error that every second row has in the other direction is like that of no neighbour.
            data = Dataset(x, model(x) + 0.1 * noise, ("x",))
        assert _search._is_found(model, data) == is_law


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0, 1.0])
def test_a_limit_of_time_ends_the_search_with_what_it_has(seconds):
    data = kan2.sample_function("exp(sin(pi*x) + y**2)*z", dict.fromkeys("xyz", (-1, 1)), n=800, n_test=0)
    kan2.discover(([[1.0], [2.0], [3.0]], [1.0, 2.0, 4.0]), seconds=0)  # imports what is imported when it is needed
    start = time.process_time()
    found = kan2.discover(data, seconds=seconds)
    assert time.process_time() - start < seconds + 3
    assert found.report.out_of_time
    assert not found.report.interrupted
    assert found.report.found is False
    assert found.report.pareto.rows
    assert "out of time" in str(found.report)
    assert bool(torch.isfinite(found(data.X)).all())


@pytest.mark.slow
def test_several_targets():
    x = torch.rand(80, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    data = Dataset(x, torch.stack([x[:, 0] * x[:, 1], x[:, 0] + x[:, 1]], 1), ("p", "q"), ("prod", "sum"))
    found = kan2.discover(data, attempts=1, steps=10, seconds=1)
    assert found.spec.outputs == ("prod", "sum")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        ({"networks": 0}, ("networks as True or False",)),
        ({"networks": False, "width": [1, 1]}, ("no width beside networks=False",)),
        ({"work": -1}, ("work as a finite number >= 0",)),
        ({"work": "all"}, ("work",)),
    ],
)
def test_what_is_searched_is_checked(options, parts, unchecked):
    with pytest.raises(TrainingError) as caught:
        kan2.discover(LINE, **options)
    assert all(part in str(caught.value) for part in parts), caught.value


@pytest.mark.slow
def test_without_networks_and_work_there_are_approximations():
    x = np.random.default_rng(0).uniform(1, 2, (60, 2))
    law = kan2.discover((x, x[:, 0] / (x[:, 0] + x[:, 1])), networks=False, work=0)
    assert law.network is None
    assert not law.found
    assert len(law.front) > 2
    assert kan2.discover((x, x[:, 0] / (x[:, 0] + x[:, 1])), networks=False).found
