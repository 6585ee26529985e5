"""Theories with unknown constants and functions: NIST's problems beside SciPy and lmfit, and theories of science.

NIST's 27 problems of nonlinear regression are fitted from both published starts. A run counts where all parameters have
eight digits in common with the certified ones. SciPy's `curve_fit` and lmfit get the same model, written in NumPy, and
tolerances of 1e-14; the time is that of one fit, without compiling the model, the median of five.
"""

import copy
import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

import lmfit
import numpy as np
import scipy
import sympy
from joblib import Parallel, delayed
from scipy.optimize import curve_fit

import kanpiler
from benchmarks._timing import machine
from case_studies._results import table
from kan2.datasets import nist, nist_names
from kan2.datasets import table as measured
from kan2.expressions.parse import parse_expression

DIGITS, ERROR_DIGITS, MOST, REPEATS, TIGHT = 8.0, 4.0, 11.0, 5, 1e-14


@dataclass(frozen=True)
class Answer:
    """Parameters, their standard errors, and the time a fit took; None where there is no answer."""

    values: np.ndarray | None
    errors: np.ndarray | None
    seconds: float


def digits(found: np.ndarray | None, certified: np.ndarray) -> float:
    """Returns how many digits all numbers have in common with certified ones, at most 11."""
    if found is None or not np.isfinite(found).all():
        return 0.0
    worst = float((np.abs(found - certified) / np.abs(certified)).max())
    return max(0.0, min(MOST, -math.log10(worst))) if worst > 0 else MOST


def timed(fit: Callable[[], tuple[np.ndarray, np.ndarray] | None]) -> Answer:
    """Returns the answer of a fit and the median of its times."""
    seconds, answer = [], None
    for _ in range(REPEATS):
        began = time.perf_counter()
        try:
            answer = fit()
        except (RuntimeError, ValueError, TypeError):
            answer = None
        seconds.append(time.perf_counter() - began)
    values, errors = answer if answer is not None else (None, None)
    return Answer(values, errors, median(seconds))


def by_kanpiler(problem: Any, start: Mapping[str, float]) -> Answer:
    """Fits a problem by a theory."""
    net = kanpiler.compile(problem.formula, inputs=problem.inputs, parameters=dict(start))
    data = (problem.data.X.numpy(), problem.data.y.numpy())
    # Every fit begins where the last one ended: a copy for each.
    copies = [copy.deepcopy(net) for _ in range(REPEATS)]
    for one in copies:
        one.compile_pieces()

    def fit() -> tuple[np.ndarray, np.ndarray]:
        one = copies.pop()
        one.fit(data, target=problem.target)
        found = one.estimates()
        return np.array([e.value for e in found]), np.array([e.error for e in found])

    return timed(fit)


def _model(problem: Any) -> tuple[Callable[..., Any], list[str]]:
    names = list(problem.starts[0])
    symbols = [sympy.Symbol(name) for name in (*problem.inputs, *names)]
    expression = parse_expression(problem.formula, [*problem.inputs, *names])
    return sympy.lambdify(symbols, expression, "numpy"), names


def by_scipy(problem: Any, start: Mapping[str, float]) -> Answer:
    """Fits a problem by `curve_fit`."""
    function, names = _model(problem)
    X, y = problem.data.X.numpy(), problem.data.y.numpy()[:, 0]
    columns = list(X.T)

    def fit() -> tuple[np.ndarray, np.ndarray]:
        found, covariance = curve_fit(
            lambda _, *b: function(*columns, *b), X, y, [start[name] for name in names], ftol=TIGHT, xtol=TIGHT,
            gtol=TIGHT, maxfev=100_000,
        )  # fmt: skip
        return found, np.sqrt(np.diag(covariance))

    return timed(fit)


def by_lmfit(problem: Any, start: Mapping[str, float]) -> Answer:
    """Fits a problem by lmfit."""
    function, names = _model(problem)
    X, y = problem.data.X.numpy(), problem.data.y.numpy()[:, 0]
    columns = list(X.T)
    parameters = lmfit.Parameters()
    for name in names:
        parameters.add(name, start[name])

    def fit() -> tuple[np.ndarray, np.ndarray]:
        found: Any = lmfit.minimize(
            lambda p: function(*columns, *(p[name].value for name in names)) - y, parameters, ftol=TIGHT, xtol=TIGHT,
            gtol=TIGHT, max_nfev=100_000,
        )  # fmt: skip
        own = found.params
        errors = [own[name].stderr for name in names]
        return np.array([own[name].value for name in names]), np.array([math.nan if e is None else e for e in errors])

    return timed(fit)


WAYS = {"kanpiler": by_kanpiler, "curve_fit": by_scipy, "lmfit": by_lmfit}


def of_nist() -> list[str]:
    """Returns the lines of the comparison on NIST's problems."""
    rows, counts, error_counts, seconds = [], dict.fromkeys(WAYS, 0), dict.fromkeys(WAYS, 0), {w: [] for w in WAYS}
    for name in nist_names():
        problem = nist(name)
        certified = np.array(list(problem.certified.values()))
        errors = np.array(list(problem.standard_errors.values()))
        for i, start in enumerate(problem.starts):
            cells = [name, str(i + 1)]
            for way, fit in WAYS.items():
                with warnings.catch_warnings(), np.errstate(all="ignore"):
                    warnings.simplefilter("ignore")
                    answer = fit(problem, start)
                found, of_errors = digits(answer.values, certified), digits(answer.errors, errors)
                counts[way] += found >= DIGITS
                error_counts[way] += of_errors >= ERROR_DIGITS
                seconds[way].append(answer.seconds)
                cells += [f"{found:.1f}", f"{of_errors:.1f}", f"{1e3 * answer.seconds:.1f}"]
            rows.append(cells)
            print(*cells, flush=True)
    header = ["problem", "start", *(f"{way}: {what}" for way in WAYS for what in ("digits", "of errors", "ms"))]
    ratios = {
        way: median(own / other for own, other in zip(seconds["kanpiler"], seconds[way]))
        for way in WAYS
        if way != "kanpiler"
    }
    said = ", ".join(f"{way} {counts[way]} of {len(rows)} ({error_counts[way]} with errors)" for way in WAYS)
    return [
        f"Runs with at least {DIGITS:g} digits of all parameters, and with {ERROR_DIGITS:g} of all standard errors: "
        f"{said}.",
        "",
        "Time of kanpiler's fit, median of the ratios run by run: "
        + ", ".join(f"{ratio:.1f} times {way}" for way, ratio in ratios.items())
        + ".",
        "",
        table(header, rows),
    ]


@dataclass(frozen=True)
class Case:
    """A theory, and the law behind it.

    Attributes:
        name: what it is about.
        theory: with unknown functions.
        parameters: their starts.
        unknown: the functions, with what is known of them.
        columns: ranges of the columns.
        truth: the constants.
        functions: the functions, as text in u.
        numbers: how many numbers the functions have.
    """

    name: str
    theory: str
    parameters: Mapping[str, Any]
    unknown: Mapping[str, Any]
    columns: Mapping[str, tuple[float, float]]
    truth: Mapping[str, float]
    functions: Mapping[str, str]
    numbers: int


CASES = (
    Case("pendulum, unknown drag", "-w*sin(theta) - f(v)", {"w": 5}, {"f": "zero at 0"},
         {"theta": (-2, 2), "v": (-3, 3)}, {"w": 9.81}, {"f": "0.2*u + 0.1*u*Abs(u)"}, 2),
    Case("enzyme, unknown temperature factor", "S/(K + S)*f(T)", {"K": 1}, {"f": "positive"},
         {"S": (0.1, 10), "T": (280, 320)}, {"K": 2.5}, {"f": "1e8*exp(-5000/u)"}, 2),
    Case("Hubble, unknown selection", "H*d + f(m)", {"H": 50}, {"f": None},
         {"d": (1, 30), "m": (10, 16)}, {"H": 70}, {"f": "300*sqrt(u - 9)"}, 2),
    Case("oscillation, unknown temperature drift", "A*exp(-k*t)*cos(w*t + phi) + f(T)",
         {"A": 1, "k": (0.1, 0, None), "w": 2, "phi": 0}, {"f": None}, {"t": (0, 10), "T": (0, 40)},
         {"A": 2.0, "k": 0.25, "w": 2.1, "phi": 0.5}, {"f": "0.8*log(1 + u/5)"}, 2),
    Case("absorption, unknown line", "I0*exp(-c*f(w))", {"I0": 1}, {"f": "positive"},
         {"c": (0, 2), "w": (400, 700)}, {"I0": 3.0}, {"f": "1.5*exp(-(u - 550)**2/(2*60**2))"}, 3),
    Case("growth, unknown response to light", "N*(1 - N/K)*f(L)", {"K": 100}, {"f": "increasing"},
         {"N": (1, 80), "L": (0, 500)}, {"K": 90.0}, {"f": "0.9*u/(120 + u)"}, 2),
    Case("heat loss, unknown effect of wind", "h*dT + f(v)", {"h": 1}, {"f": None},
         {"dT": (0, 30), "v": (0.5, 15)}, {"h": 2.2}, {"f": "11*u**0.6"}, 2),
    Case("rate, unknown effect of pressure", "exp(-Ea/T)*f(p)", {"Ea": 1000}, {"f": "positive"},
         {"T": (400, 600), "p": (1, 20)}, {"Ea": 3200.0}, {"f": "50*u/(1 + u/8)"}, 2),
    Case("two unknown terms", "k*x + f(y) + g(z)", {"k": 1}, {"f": None, "g": None},
         {"x": (0, 5), "y": (-2, 2), "z": (0.2, 4)}, {"k": 1.7}, {"f": "1.2*sin(2.5*u)", "g": "2/u"}, 3),
    Case("unknown function of a mixture", "f(a*x + z)", {"a": 1}, {"f": None},
         {"x": (0, 2), "z": (0, 2)}, {"a": 1.6}, {"f": "2*tanh(u - 2)"}, 2),
)  # fmt: skip
ROWS, NOISE, DRAWS, FORMULAS, EXACT = 1000, 0.01, 100, 20, 1e-6


def rows_of(case: Case, seed: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns columns and the target without noise."""
    rng = np.random.default_rng(seed)
    columns = {name: rng.uniform(*limits, ROWS) for name, limits in case.columns.items()}
    law = kanpiler.compile(true_law(case), inputs=list(columns))
    return columns, law.predict(np.stack(list(columns.values()), 1))[:, 0]


def true_law(case: Case) -> sympy.Expr:
    """Returns the law with its numbers."""
    u = sympy.Symbol("u")
    expression: Any = parse_expression(case.theory, functions=list(case.unknown))
    for name, text in case.functions.items():
        formula = parse_expression(text)
        expression = expression.replace(sympy.Function(name), lambda x, formula=formula: formula.subs(u, x))
    return expression.subs(dict(case.truth))


def fitted(case: Case, columns: Mapping[str, np.ndarray], y: np.ndarray) -> Any:
    """Returns the theory fitted to rows."""
    net = kanpiler.compile(
        case.theory, inputs=list(columns), parameters=dict(case.parameters), unknown=dict(case.unknown)
    )
    net.fit({**columns, "target": y}, target="target")
    return net


@dataclass(frozen=True)
class Drawn:
    """What one draw of noise gave: constants that were hit, errors of target and functions, the formula, times."""

    hits: int
    error: float
    errors: tuple[float, ...]
    formula: str
    is_right: bool | None
    seconds: float
    search_seconds: float


def drawn(case: Case, seed: int) -> Drawn:
    """Fits one noisy draw; the formula is looked for in the first of them."""
    columns, clean = rows_of(case, seed)
    rng = np.random.default_rng([seed, 1])
    y = clean + NOISE * clean.std() * rng.standard_normal(ROWS)
    began = time.perf_counter()
    net = fitted(case, columns, y)
    seconds = time.perf_counter() - began
    hits = sum(abs(one.value - case.truth[one.name]) <= 2 * one.error for one in net.estimates())
    found = net.predict(np.stack(list(columns.values()), 1))[:, 0]
    error = float(np.sqrt(np.mean((found - clean) ** 2)) / clean.std())
    errors = []
    for name, text in case.functions.items():
        curve, _ = net.curve(name)
        points = np.linspace(curve.low, curve.high, 200)[1:-1]
        found = net.function(name)(points)
        truth = sympy.lambdify(sympy.Symbol("u"), parse_expression(text), "numpy")(points)
        if len(case.functions) > 1:
            found = found - found.mean() + truth.mean()  # a constant may be in the other one
        errors.append(float(np.sqrt(np.mean((found - truth) ** 2)) / np.std(truth)))
    formula, is_right, began = "", None, time.perf_counter()
    if seed < FORMULAS:
        law = net.auto_symbolic()
        search = time.perf_counter() - began
        formula, is_right = law.text, False
        if not law.theory.functions:
            own = sum(bool(one.of) for one in law.theory.parameters)
            law.fit({**columns, "target": clean}, target="target")
            is_right = bool(law.report.rmse <= EXACT * clean.std() and own <= case.numbers + (len(case.functions) > 1))
        return Drawn(hits, error, tuple(errors), formula, is_right, seconds, search)
    return Drawn(hits, error, tuple(errors), formula, is_right, seconds, 0.0)


def of_science() -> list[str]:
    """Returns the lines of the table of theories with unknown functions."""
    rows = []
    for case in CASES:
        found: list[Any] = list(Parallel(n_jobs=2)(delayed(_quietly)(case, seed) for seed in range(DRAWS)))
        n = len(case.truth)
        hits = sum(one.hits for one in found) / (n * DRAWS)
        errors = [median(one.errors[i] for one in found) for i in range(len(case.functions))]
        tried = [one for one in found if one.is_right is not None]
        right = sum(bool(one.is_right) for one in tried)
        rows.append([
            case.name, f"`{case.theory}`", f"{hits:.0%}", f"{median(one.error for one in found):.1e}",
            ", ".join(f"{error:.1e}" for error in errors),
            f"{right} of {len(tried)}", f"{median(one.seconds for one in found):.2f}",
            f"{median(one.search_seconds for one in tried):.1f}", f"`{tried[0].formula}`",
        ])  # fmt: skip
        print(*rows[-1], flush=True)
    header = [
        "theory",
        "formula",
        "within 2 errors",
        "error of target",
        "of functions",
        "formula right",
        "fit, s",
        "search, s",
        "found",
    ]
    return [
        f"{ROWS} rows, noise {NOISE:.0%} of the target's deviation, {DRAWS} draws, {FORMULAS} of them with a search. "
        "Errors: median root mean squares, of the target without noise and of functions, in their standard deviations.",
        "",
        table(header, rows),
    ]


def _quietly(case: Case, seed: int) -> Drawn:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return drawn(case, seed)


def of_puromycin() -> list[str]:
    """Returns the lines of the global fit of Puromycin."""
    parameters = {"V": kanpiler.Parameter(200, per="treated"), "K": kanpiler.Parameter(0.05, per="treated")}
    net = kanpiler.compile("V*concentration/(K + concentration)", parameters=parameters)
    net.fit(measured("puromycin"), target="rate", noise="per set")
    return ["```text", net.parameters_table(), "```"]


def main() -> str:
    """Runs everything."""
    lines = [
        "## Theories with unknown constants and functions",
        "",
        f"`python -m benchmarks theories`, {machine()}, SciPy {scipy.__version__}, lmfit {lmfit.__version__}.",
        "",
        "### NIST's problems of nonlinear regression",
        "",
        *of_nist(),
        "",
        "### Theories with unknown functions",
        "",
        *of_science(),
        "",
        "### Puromycin, both groups in one fit, a noise for each",
        "",
        *of_puromycin(),
    ]
    return "\n".join(lines)
