"""Shared fixtures: hygiene of library calls, seeded generators, the hypothesis profile."""

import random

import matplotlib as mpl
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import config

from tests.typechecker import install

# Annotations of the packages are checked in tests, and there alone. Nothing above this line may import the packages.
install(["kan2", "kanpiler", "treeconv"])
mpl.use("Agg")
torch.set_num_threads(1)
settings.register_profile(
    "house",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("house")


@pytest.fixture(autouse=True)
def hygiene(tmp_path_factory, monkeypatch, request):
    """Fails a test whose library call writes into the working directory or moves a global random state."""
    if request.node.get_closest_marker("parity"):
        yield
        return
    here = tmp_path_factory.mktemp("cwd")
    monkeypatch.chdir(here)
    states = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    yield
    assert list(here.iterdir()) == [], "a library call wrote into the working directory"
    assert torch.equal(states[0], torch.get_rng_state()), "a library call moved torch's global random state"
    now = np.random.get_state()  # noqa: NPY002
    assert all(np.array_equal(a, b) for a, b in zip(states[1], now)), "a library call moved NumPy's random state"
    # hypothesis itself seeds Python's generator, so property tests are exempt here.
    if not hasattr(request.node.obj, "hypothesis"):
        assert states[2] == random.getstate(), "a library call moved Python's random state"


@pytest.fixture
def unchecked():
    """Calls the packages as users do, without the checker: for tests that hand in wrong types on purpose."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture
def generator() -> torch.Generator:
    """A seeded generator for tests that need random tensors."""
    return torch.Generator().manual_seed(0)
