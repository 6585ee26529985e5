"""Equations of Feynman's lectures: the 27 without units of KAN 1.0, table 2, and the 120 with units of AI Feynman.

The ranges of the 27 are not in the paper. Ours follow AI Feynman's where it has them, and keep away from poles.

References: Liu et al., KAN (arXiv 2404.19756), table 2; Udrescu, Tegmark, AI Feynman (arXiv 1905.11481).
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import kan2

TABLE = Path(__file__).parent / "data" / "feynman.csv"
ANGLE = (0, 6.283)
Ranges = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Equation:
    """A formula with its ranges, and where the paper has it its test RMSE: human-made, pruned, unpruned, MLP."""

    name: str
    formula: str
    ranges: Ranges
    paper: tuple[float, float, float, float] | None = None

    def sample(self, n: int, seed: int) -> kan2.Dataset:
        """Returns uniform samples, none of them for a test."""
        return kan2.sample_function(self.formula, self.ranges, n=n, n_test=0, seed=seed)

    def draw(self, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns (n, input) uniform samples and (n,) values."""
        data = self.sample(n, seed)
        return data.X.numpy(), data.y[:, 0].numpy()


# fmt: off
EQUATIONS = (
    Equation("I.6.2", "exp(-th**2/(2*s**2))/sqrt(2*pi*s**2)", {"th": (1, 3), "s": (1, 3)},
             (7.66e-5, 2.86e-5, 4.60e-5, 1.45e-4)),
    Equation("I.6.2b", "exp(-(th-th1)**2/(2*s**2))/sqrt(2*pi*s**2)", {"th": (1, 3), "th1": (1, 3), "s": (1, 3)},
             (1.22e-3, 4.45e-4, 1.25e-3, 7.40e-4)),
    Equation("I.9.18", "a/((b-1)**2+(c-d)**2+(e-f)**2)",
             {"a": (0, 1), "b": (.2, .7), "c": (.75, 1.3), "d": (.25, .65), "e": (.75, 1.3), "f": (.25, .65)},
             (1.48e-3, 8.62e-3, 6.56e-3, 1.59e-3)),
    Equation("I.12.11", "1+a*sin(th)", {"a": (0, 2), "th": ANGLE}, (2.07e-3, 1.39e-3, 9.13e-4, 6.71e-4)),
    Equation("I.13.12", "a*(1/b-1)", {"a": (0, 2), "b": (.3, 2)}, (7.22e-3, 4.81e-3, 2.72e-3, 1.42e-3)),
    Equation("I.15.3x", "(1-a)/sqrt(1-b**2)", {"a": (0, 2), "b": (0, .9)}, (7.35e-3, 1.58e-3, 1.14e-3, 8.54e-4)),
    Equation("I.16.6", "(a+b)/(1+a*b)", {"a": (-.9, .9), "b": (-.9, .9)}, (1.06e-3, 1.19e-3, 1.53e-3, 6.20e-4)),
    Equation("I.18.4", "(1+a*b)/(1+a)", {"a": (0, 2), "b": (0, 2)}, (3.92e-4, 1.50e-4, 1.32e-3, 3.68e-4)),
    Equation("I.26.2", "asin(n*sin(th2))", {"n": (0, .9), "th2": (0, 1.57)}, (1.22e-4, 7.90e-4, 8.63e-4, 1.24e-4)),
    Equation("I.27.6", "1/(1+a*b)", {"a": (0, 2), "b": (0, 2)}, (2.22e-4, 1.94e-4, 2.14e-4, 2.46e-4)),
    Equation("I.29.16", "sqrt(1+a**2-2*a*cos(th1-th2))", {"a": (.1, .8), "th1": (0, 3.14), "th2": (0, 3.14)},
             (2.36e-1, 3.99e-3, 3.20e-3, 4.64e-3)),
    Equation("I.30.3", "sin(n*th/2)**2/sin(th/2)**2", {"n": (0, 4), "th": (1, 3)},
             (3.85e-1, 1.03e-3, 1.11e-2, 1.50e-2)),
    Equation("I.30.5", "asin(a/n)", {"a": (-1, 1), "n": (1.2, 3)}, (2.23e-4, 3.49e-5, 6.92e-5, 9.45e-5)),
    Equation("I.37.4", "1+a+2*sqrt(a)*cos(d)", {"a": (.1, 2), "d": ANGLE}, (7.57e-5, 4.91e-6, 3.41e-4, 5.67e-4)),
    Equation("I.40.1", "n0*exp(-a)", {"n0": (0, 2), "a": (-2, 2)}, (3.45e-3, 5.01e-4, 3.12e-4, 3.99e-4)),
    Equation("I.44.4", "n*log(a)", {"n": (0, 2), "a": (.5, 3)}, (2.30e-5, 2.43e-5, 1.10e-4, 3.99e-4)),
    Equation("I.50.26", "cos(a)+al*cos(a)**2", {"a": ANGLE, "al": (0, 1)}, (1.52e-4, 5.82e-4, 4.90e-4, 1.53e-3)),
    Equation("II.2.42", "(a-1)*b", {"a": (0, 2), "b": (0, 2)}, (8.54e-4, 7.22e-4, 1.22e-3, 1.81e-4)),
    Equation("II.6.15a", "c*sqrt(a**2+b**2)/(4*pi)", {"a": (.5, 2), "b": (.5, 2), "c": (0, 2)},
             (2.61e-3, 3.28e-3, 1.35e-3, 5.92e-4)),
    Equation("II.11.7", "n0*(1+a*cos(th))", {"n0": (0, 2), "a": (0, 2), "th": ANGLE},
             (7.10e-3, 8.52e-3, 5.03e-3, 5.92e-4)),
    Equation("II.11.27", "n*al/(1-n*al/3)", {"n": (0, 1), "al": (0, 1)}, (2.67e-5, 4.40e-5, 1.43e-5, 7.18e-5)),
    Equation("II.35.18", "n0/(exp(a)+exp(-a))", {"n0": (0, 2), "a": (-2, 2)}, (4.13e-4, 1.58e-4, 7.71e-5, 7.92e-5)),
    Equation("II.36.38", "a+al*b", {"a": (0, 2), "al": (0, 2), "b": (0, 2)}, (2.85e-3, 1.15e-3, 3.03e-3, 2.15e-3)),
    Equation("II.38.3", "a/b", {"a": (0, 2), "b": (.5, 2)}, (1.47e-4, 8.78e-5, 6.43e-4, 5.26e-4)),
    Equation("III.9.52", "a*sin((b-c)/2)**2/((b-c)/2)**2", {"a": (0, 2), "b": (1, 4), "c": (-2, .5)},
             (4.43e-2, 3.90e-3, 2.11e-2, 9.07e-4)),
    Equation("III.10.19", "sqrt(1+a**2+b**2)", {"a": (0, 2), "b": (0, 2)}, (2.54e-3, 1.18e-3, 8.16e-4, 1.67e-4)),
    Equation("III.17.37", "be*(1+al*cos(th))", {"be": (0, 2), "al": (0, 2), "th": ANGLE},
             (1.10e-3, 5.03e-4, 4.12e-4, 6.80e-4)),
)
# fmt: on


def with_units() -> list[Equation]:
    """Reads the 120 equations with the ranges of their authors, in which every variable has a unit."""
    rows = csv.DictReader(TABLE.read_text().splitlines())
    limits = [(row, [part.split(":") for part in row["variables"].split(";")]) for row in rows]
    return [
        Equation(row["name"], row["formula"], {name: (float(low), float(high)) for name, low, high in parts})
        for row, parts in limits
    ]
