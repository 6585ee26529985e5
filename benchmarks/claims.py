"""What is claimed where nothing should be, and where something should: tables without a law, and measured ones.

Ten tables are noise of several kinds, in columns of several kinds. In ten more the target is a function of columns of
which one is left out, drawn as the others are. The nine tables of measurements have an accepted law: it is fitted to
the same rows, and both are judged by what they miss rows by that were left out.
"""

import time
import warnings
from typing import Any

import numpy as np
import sympy

import kan2
from benchmarks._timing import machine
from case_studies._results import table
from kan2 import datasets
from kan2.expressions.symbols import symbol
from kan2.laws.front.complexity import complexity
from kan2.laws.front.polish import Fit, Form
from kan2.laws.samples import Samples, samples_of

ROWS, SECONDS = 300, 30.0
AS_WELL = 1.05  # times the error of the accepted law
HIDDEN = (
    "x1*h", "x1 + h", "x1*x2*h", "sqrt(x1**2 + h**2)", "x1*sin(h)", "exp(-x1*h)", "x1/(x2 + h)", "x1**2 + x2*h",
    "(x1 - h)*x2", "log(x1 + h)",
)  # fmt: skip
DIGITS = 90  # characters of a formula that are shown
# The accepted laws, with numbers to begin with; what is exact in the law is no float.
ACCEPTED = {
    "planets": ("T", "1.0*a**(3/2)"),
    "balmer": ("wavelength", "364.5*n**2/(n**2 - 4)"),
    "boyle_1662": ("pressure", "1400.0/volume"),
    "cherry_trees": ("volume", "0.0021*girth**2*height"),
    "hubble_1929": ("velocity", "450.0*distance"),
    "hudson_bay": ("hare_rate", "0.55*hare - 0.028*hare*lynx"),
    "mercury_vapour_pressure": ("pressure", "exp(18.0 - 7000.0/(temperature + 260.0))"),
    "puromycin": ("rate", "(160.0 + 52.0*treated)*concentration/(0.06 + concentration)"),
    "stopping_distance": ("distance", "1.0*speed + 0.1*speed**2"),
}


def noise() -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Returns tables of noise: what each is, columns, target."""
    rng, found = np.random.default_rng(0), []
    targets = {
        "normal": rng.standard_normal,
        "uniform": rng.random,
        "heavy-tailed": lambda n: rng.standard_t(2, n),
        "lognormal": lambda n: np.exp(rng.standard_normal(n)),
        "whole numbers": lambda n: rng.integers(0, 9, n).astype(float),
    }
    for i, (name, draw) in enumerate(targets.items()):
        for n_columns, X in ((i + 1, rng.random((ROWS, i + 1))), (2, np.exp(2 * rng.standard_normal((ROWS, 2))))):
            found.append((f"{name} noise, {n_columns} columns", X, draw(ROWS)))
    return found


def hidden() -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Returns tables that lack a column: what each is, columns, target."""
    rng, found = np.random.default_rng(1), []
    names = sympy.symbols("x1 x2 h")
    for text in HIDDEN:
        columns = rng.uniform(1, 3, (3, ROWS))
        y = sympy.lambdify(names, sympy.sympify(text))(*columns)
        found.append((f"`{text}` without h", columns[: 1 + ("x2" in text)].T, np.asarray(y)))
    return found


def measured(name: str, **options: Any) -> tuple[list[object], bool]:
    """Returns the row of a table of measurements, and whether what is found is the accepted law or as good."""
    target, accepted = ACCEPTED[name]
    data = datasets.load(name)
    inputs = list(data.inputs)
    X, y = data.X.double().numpy(), data.y[:, data.outputs.index(target)].double().numpy()
    start = time.monotonic()
    law = kan2.discover((X, y), names=inputs, **{"seconds": SECONDS, **options})
    seconds = time.monotonic() - start
    samples = samples_of(X, y, tuple(map(symbol, inputs)))
    form = sympy.sympify(accepted, {one: symbol(one) for one in inputs})
    errors = [_left_out(one, samples) for one in (law.formula, form)]
    is_right = errors[0] <= AS_WELL * errors[1] and complexity(law.formula) <= complexity(form)
    shown = str(law.symbolic_formula(digits=4)).replace("|", "\\|")
    return [
        name,
        f"{seconds:.1f}",
        "yes" if law.found else "no",
        f"`{shown[:DIGITS]}`",
        f"{errors[0]:.2g}",
        f"`{accepted}`",
        f"{errors[1]:.2g}",
        "yes" if is_right else "no",
    ], is_right


def _left_out(expression: sympy.Expr, samples: Samples) -> float:
    # In units of the target's spread, of logarithms where it spans decades.
    fit = Fit(Form.of(expression), samples)
    return samples.error(fit.left_out)


def main() -> str:
    """Runs the searches and returns their section."""
    rows, n_claimed, n_right = [], 0, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, X, y in (*noise(), *hidden()):
            start = time.monotonic()
            law = kan2.discover((X, y), seconds=SECONDS)
            n_claimed += law.found
            shown = str(law.symbolic_formula(digits=4)).replace("|", "\\|")[:DIGITS]
            rows.append([name, f"{time.monotonic() - start:.1f}", "YES" if law.found else "no", f"`{shown}`"])
            print(*rows[-1], flush=True)
        of_measured = []
        for name in ACCEPTED:
            row, is_right = measured(name)
            n_right += is_right
            of_measured.append(row)
            print(*row, flush=True)
    return (
        "## Laws claimed\n\n"
        f"`kan2.discover` on 20 tables without a law, {ROWS} rows, within {SECONDS:.0f} s: {n_claimed} claimed. "
        f"On nine tables of measurements: the accepted law or a shorter one that predicts as well for {n_right} of "
        f"{len(ACCEPTED)}, called a law or, of few rows, an approximation. Errors are those on rows left out, in "
        f"spreads of the target, of its logarithm where it spans decades. One thread. {machine()}\n\n"
        f"{table(['table', 's', 'law claimed', 'best formula'], rows)}\n\n"
        + table(["table", "s", "found", "formula", "error", "accepted law", "its error", "right"], of_measured)
        + "\n"
    )
