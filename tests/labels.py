"""Tables of labels that are drawn by a known logit."""

from typing import Any

import numpy as np
from scipy.special import expit

QUICK: dict[str, Any] = {"work": 0}  # approximations alone


def columns(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"a": 10 ** rng.uniform(-1, 1.5, n), "b": rng.uniform(-2, 2, n), "c": rng.uniform(-2, 2, n)}


def drawn(logit: np.ndarray, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random(len(logit)) < expit(logit)


def table(formula: Any, n: int = 800, seed: int = 0) -> tuple[dict[str, Any], np.ndarray]:
    """Returns columns with labels of a logit, and the logit."""
    found = columns(n, seed)
    logit = formula(**found)
    return {**found, "seen": drawn(logit, seed + 1)}, logit


LINEAR, _ = table(lambda a, b, c: 1.5 * b - 0.8 * c + 0.5, 400)
WORDS = np.where(LINEAR["seen"], "yes", "no")
