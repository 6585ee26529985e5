"""Equations of Feynman's lectures: the 120 with units of AI Feynman, and the 27 without units of KAN 1.0, table 2.

The ranges of the 27 are not in the paper. Ours follow AI Feynman's where it has them, and keep away from poles.

References: Udrescu, Tegmark, AI Feynman (arXiv 1905.11481); Liu et al., KAN (arXiv 2404.19756), table 2.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from kan2.core.data import Dataset
from kan2.core.samples import sample_function

ANGLE = (0, 6.283)
Ranges = dict[str, tuple[float, float]]
ALIASES = {"I.6.20a": "I.6.2a", "I.6.20": "I.6.2", "I.6.20b": "I.6.2b"}
"""Numbers of the lectures for the equations that the table of AI Feynman calls otherwise."""


@dataclass(frozen=True)
class Equation:
    """A formula with the ranges of its variables, and the letter of what it gives."""

    name: str
    formula: str
    ranges: Ranges
    output: str = "y"

    def sample(self, n: int, seed: int) -> Dataset:
        """Returns uniform samples, none of them for a test."""
        return sample_function(self.formula, self.ranges, n=n, n_test=0, seed=seed)


# fmt: off
EQUATIONS = (
    Equation("I.6.2", "exp(-th**2/(2*s**2))/sqrt(2*pi*s**2)", {"th": (1, 3), "s": (1, 3)}),
    Equation("I.6.2b", "exp(-(th-th1)**2/(2*s**2))/sqrt(2*pi*s**2)", {"th": (1, 3), "th1": (1, 3), "s": (1, 3)}),
    Equation("I.9.18", "a/((b-1)**2+(c-d)**2+(e-f)**2)",
             {"a": (0, 1), "b": (.2, .7), "c": (.75, 1.3), "d": (.25, .65), "e": (.75, 1.3), "f": (.25, .65)}),
    Equation("I.12.11", "1+a*sin(th)", {"a": (0, 2), "th": ANGLE}),
    Equation("I.13.12", "a*(1/b-1)", {"a": (0, 2), "b": (.3, 2)}),
    Equation("I.15.3x", "(1-a)/sqrt(1-b**2)", {"a": (0, 2), "b": (0, .9)}),
    Equation("I.16.6", "(a+b)/(1+a*b)", {"a": (-.9, .9), "b": (-.9, .9)}),
    Equation("I.18.4", "(1+a*b)/(1+a)", {"a": (0, 2), "b": (0, 2)}),
    Equation("I.26.2", "asin(n*sin(th2))", {"n": (0, .9), "th2": (0, 1.57)}),
    Equation("I.27.6", "1/(1+a*b)", {"a": (0, 2), "b": (0, 2)}),
    Equation("I.29.16", "sqrt(1+a**2-2*a*cos(th1-th2))", {"a": (.1, .8), "th1": (0, 3.14), "th2": (0, 3.14)}),
    Equation("I.30.3", "sin(n*th/2)**2/sin(th/2)**2", {"n": (0, 4), "th": (1, 3)}),
    Equation("I.30.5", "asin(a/n)", {"a": (-1, 1), "n": (1.2, 3)}),
    Equation("I.37.4", "1+a+2*sqrt(a)*cos(d)", {"a": (.1, 2), "d": ANGLE}),
    Equation("I.40.1", "n0*exp(-a)", {"n0": (0, 2), "a": (-2, 2)}),
    Equation("I.44.4", "n*log(a)", {"n": (0, 2), "a": (.5, 3)}),
    Equation("I.50.26", "cos(a)+al*cos(a)**2", {"a": ANGLE, "al": (0, 1)}),
    Equation("II.2.42", "(a-1)*b", {"a": (0, 2), "b": (0, 2)}),
    Equation("II.6.15a", "c*sqrt(a**2+b**2)/(4*pi)", {"a": (.5, 2), "b": (.5, 2), "c": (0, 2)}),
    Equation("II.11.7", "n0*(1+a*cos(th))", {"n0": (0, 2), "a": (0, 2), "th": ANGLE}),
    Equation("II.11.27", "n*al/(1-n*al/3)", {"n": (0, 1), "al": (0, 1)}),
    Equation("II.35.18", "n0/(exp(a)+exp(-a))", {"n0": (0, 2), "a": (-2, 2)}),
    Equation("II.36.38", "a+al*b", {"a": (0, 2), "al": (0, 2), "b": (0, 2)}),
    Equation("II.38.3", "a/b", {"a": (0, 2), "b": (.5, 2)}),
    Equation("III.9.52", "a*sin((b-c)/2)**2/((b-c)/2)**2", {"a": (0, 2), "b": (1, 4), "c": (-2, .5)}),
    Equation("III.10.19", "sqrt(1+a**2+b**2)", {"a": (0, 2), "b": (0, 2)}),
    Equation("III.17.37", "be*(1+al*cos(th))", {"be": (0, 2), "al": (0, 2), "th": ANGLE}),
)
# fmt: on
"""The 27 equations without units."""


@cache
def with_units() -> tuple[Equation, ...]:
    """Reads the 120 equations with the ranges of their authors, in which every variable has a unit."""
    text = (files("kan2.datasets") / "data" / "feynman.csv").read_text(encoding="utf-8")
    found = []
    for row in csv.DictReader(text.splitlines()):
        parts = [part.split(":") for part in row["variables"].split(";")]
        ranges = {name: (float(low), float(high)) for name, low, high in parts}
        found.append(Equation(row["name"], row["formula"], ranges, row["output"]))
    return tuple(found)
