"""A decay that was measured, and its fits: what tests of theories share."""

from typing import Any

import numpy as np
import pytest

import kanpiler
from kanpiler import Parameter

rng = np.random.default_rng(0)
T = np.linspace(0.1, 3, 60)
NOISE = 0.02 * rng.normal(size=60)
SPREAD = rng.uniform(0.01, 0.05, 60)
Y = 2.5 * np.exp(-0.7 * T) + NOISE
TABLE = {"t": T, "y": Y, "s": SPREAD}
DECAY = "A*exp(-k*t)"
EXACT: Any = {"ftol": 1e-14, "xtol": 1e-14, "gtol": 1e-14}


def decay(t, A, k):
    return A * np.exp(-k * t)


def fitted(text=DECAY, parameters=("A", "k"), table=TABLE, target=None, **options):
    net = kanpiler.compile(text, parameters=parameters)
    net.fit(table, target, **options)
    return net


def values_of(net):
    return np.array([one.value for one in net.estimates()])


def errors_of(net):
    return np.array([one.error for one in net.estimates()])


def notes_of(net):
    return [one.note for one in net.estimates()]


def check_scipy(net, found, covariance, rel=1e-6):
    errors = np.sqrt(np.diag(covariance))
    assert values_of(net) == pytest.approx(found, rel=rel)
    assert errors_of(net) == pytest.approx(errors, rel=1e-4)
    assert net.correlations() == pytest.approx(covariance / np.outer(errors, errors), abs=1e-5)


LABEL = np.array(["b", "a"])[np.arange(60) % 2]
TWO = np.where(LABEL == "a", 2.0, 3.0) * np.exp(-0.7 * T) + NOISE
PER = {"A": Parameter(1, per="lab"), "k": 1}
