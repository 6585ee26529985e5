"""The error of a model told from noise, and the neighbours it takes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from treeconv.calibration import model_error, neighbours


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_told_from_the_error_of_a_model(seed):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (1000, 2))
    error = 0.2 * np.sin(3 * x[:, 0] + 2 * x[:, 1])
    size = np.sqrt(np.mean(error**2))
    assert model_error(x, error) == pytest.approx(size, rel=0.05)
    assert model_error(x, error + 0.3 * rng.normal(size=1000)) == pytest.approx(size, rel=0.35)
    assert model_error(x * [1, 1e6], error) == pytest.approx(size, rel=0.05)
    rough = rng.normal(size=1000)
    assert model_error(x, rough) == pytest.approx(np.sqrt(np.mean(rough**2)) / 3, rel=0.35)


@pytest.mark.parametrize("n", [1, 3, 10])
def test_neighbours_are_those_of_all_distances(n):
    x = np.random.default_rng(n).normal(size=(400, n)) * 10.0 ** np.arange(n)
    points = x / x.std(axis=0)
    distances = np.linalg.norm(points[:, None] - points, axis=2) + np.diag(np.full(len(x), np.inf))
    assert neighbours(x)[:, 0].tolist() == distances.argmin(axis=1).tolist()


def test_no_sample_is_its_own_neighbour_even_where_samples_repeat():
    x = np.repeat(np.random.default_rng(0).normal(size=(50, 2)), 4, axis=0)
    nearest = neighbours(x)[:, 0]
    assert (nearest != np.arange(len(x))).all()
    assert (x[nearest] == x).all()


def test_an_offset_of_the_inputs_does_not_matter():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (1000, 2))
    misses = 0.2 * np.sin(3 * x[:, 0]) + 0.1 * rng.normal(size=1000)
    assert model_error(x + 1e7, misses) == pytest.approx(model_error(x, misses), rel=1e-9)


@pytest.mark.slow
def test_twenty_thousand_samples_need_little_memory_and_time():
    # A process of its own, because a peak of memory never goes down; all distances would be 3,200 MB.
    code = """
import resource, time
import numpy as np
from treeconv.calibration import model_error, neighbours

rng = np.random.default_rng(0)
x, misses = rng.uniform(-1, 1, (20_000, 4)), rng.normal(size=20_000)
neighbours(x[:100])
peak, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
neighbours(x)
model_error(x, misses)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 1024, time.perf_counter() - start)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=root)
    megabytes, seconds = map(float, done.stdout.split())
    assert megabytes < 20
    assert seconds < 5
