"""What data sets there are, and how each is had: measurements whole, formulas sampled.

`nist/Misra1a` is the table of a problem of NIST's. Other names with a stroke are formulas: `feynman/I.12.1` and
`dimensionless/I.18.4` are equations of Feynman's lectures, `kan1/...` and `kan2/...` functions of the papers. All
others are tables of measurements.
"""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches

import numpy as np
import torch

from kan2 import options
from kan2.core.data import Dataset
from kan2.core.samples import sample_function
from kan2.datasets import feynman, knots
from kan2.datasets.description import Description
from kan2.datasets.functions import FUNCTIONS, Function
from kan2.datasets.measured import MEASURED, read_measured
from kan2.datasets.nist import describe_problem, nist, nist_names, read_columns
from kan2.errors import DataError, UnknownNameError, named_options
from kan2.tables.read import read
from kan2.tables.table import Table

GROUPS = {
    "measured": "tables of measurements, and knots",
    "nist": "the 27 problems of nonlinear regression of NIST, with their tables",
    "feynman": "the 120 equations of AI Feynman, in which every variable has a unit",
    "dimensionless": "the 27 equations without units of KAN 1.0, table 2",
    "kan1": "functions of KAN 1.0",
    "kan2": "functions of KAN 2.0",
}
_EQUATIONS = "R. P. Feynman, R. B. Leighton, M. Sands, The Feynman Lectures on Physics; "
_N = 1000


@named_options
def names(group: str | None = None) -> tuple[str, ...]:
    """Returns the names of all data sets, or of those of a group.

    Args:
        group: one of "measured", "nist", "feynman", "dimensionless", "kan1", "kan2".

    Raises:
        UnknownNameError: there is no such group.

    Example:
        >>> names()[:3], len(names("feynman"))
        (('planets', 'planet_bodies', 'balmer'), 120)
    """
    everything = [*MEASURED, "knots", *(f"nist/{name}" for name in nist_names())]
    everything += [*(f"feynman/{e.name}" for e in feynman.with_units())]
    everything += [*(f"dimensionless/{e.name}" for e in feynman.EQUATIONS), *FUNCTIONS]
    if group is None:
        return tuple(everything)
    if not isinstance(group, str) or group not in GROUPS:
        raise UnknownNameError(f"names: unknown group {group!r}. Known: {', '.join(GROUPS)}.")
    return tuple(
        name for name in everything if ("/" not in name if group == "measured" else name.startswith(group + "/"))
    )


@named_options
def load(name: str, n: int | None = None, *, n_test: int = 0, seed: int = 0, noise: float = 0.0) -> Dataset:
    """Returns a data set: inputs and targets with names, units and a description.

    Args:
        name: one of `names()`.
        n: number of samples. By default all rows of a table, in their order, and 1,000 samples of a formula. Fewer rows
            of a table are drawn without replacement.
        n_test: number of other samples of a formula, without noise, for a test.
        seed: of what is drawn.
        noise: standard deviation of Gaussian noise on the targets of a formula, as a share of their own.

    Raises:
        UnknownNameError: there is no such data set.
        DataError: the table has fewer rows, or noise or a test is asked of it.

    Example:
        >>> load("planets")
        Dataset(10 samples, a -> T)
        >>> load("feynman/I.12.1", n=50, seed=1)
        Dataset(50 samples, mu, Nn -> F)
    """
    name = _known(name, "load")
    n, n_test = None if n is None else options.size("load", "n", n), options.size("load", "n_test", n_test, 0)
    seed, noise = options.seed("load", seed), options.number("load", "noise", noise, 0)
    told = describe(name)
    if (function := _function(name)) is not None:
        data = sample_function(
            function.f or function.formula, function.ranges, n=_N if n is None else n, n_test=n_test, noise=noise,
            seed=seed,
        )  # fmt: skip
        return replace(data, outputs=told.outputs, description=str(told))
    if noise or n_test:
        what = "noise" if noise else "n_test"
        raise DataError(
            f"load: expected {what} for formulas alone, got it for {name}, which has {told.rows} rows with noise of "
            "their own. Split or change the arrays."
        )
    columns = _columns(name)
    x, y = (np.stack([columns[c] for c in part], 1) for part in (told.inputs, told.outputs))
    if n is not None:
        if n > len(x):
            raise DataError(f"load: expected n from 1 to the {len(x)} rows of {name}, got {n}.")
        chosen = np.random.default_rng(seed).permutation(len(x))[:n]
        x, y = x[chosen], y[chosen]
    units = tuple((c, unit) for c, unit in told.units if c in (*told.inputs, *told.outputs))
    return Dataset(
        torch.from_numpy(x), torch.from_numpy(y), told.inputs, told.outputs, description=str(told), units=units
    )


@named_options
def table(name: str) -> Table:
    """Returns the table of a data set that was measured, with all its columns, text among them.

    Raises:
        UnknownNameError: there is no such data set.
        DataError: it is a formula.

    Example:
        >>> table("hubble_1929").columns
        ('object', 'distance', 'velocity')
    """
    name = _known(name, "table")
    if _function(name) is not None:
        raise DataError(f"table: expected measurements, got the formula {name}. Sample it: load({name!r}, n=...).")
    if name.startswith("nist/"):
        return read(read_columns(_short(name)), units=False)
    return read(knots.read_knots(), units=False) if name == "knots" else read_measured(name)[0]


@named_options
def describe(name: str) -> Description:
    """Returns what a data set is: title, source, accepted law, units, columns, rows.

    Raises:
        UnknownNameError: there is no such data set.

    Example:
        >>> describe("balmer").law, describe("feynman/I.12.1").law
        ('wavelength = 364.5*n**2/(n**2 - 4)', 'F = mu*Nn')
    """
    name = _known(name, "describe")
    if (function := _function(name)) is not None:
        output = _output(name)
        ranges = tuple((key, float(low), float(high)) for key, (low, high) in function.ranges.items())
        inputs = tuple(function.ranges)
        title = _title(name)
        return Description(
            name, title, function.source, f"{output} = {function.formula}", inputs, (output,), ranges=ranges,
            columns=(*inputs, output),
        )  # fmt: skip
    if name.startswith("nist/"):
        return describe_problem(_short(name))
    if name == "knots":
        columns = tuple(table(name).columns)
        return Description(
            name, knots.TITLE, knots.SOURCE, knots.LAW, knots.FEATURES, ("signature",), rows=len(table(name)),
            columns=columns,
        )  # fmt: skip
    entry, (found, header) = MEASURED[name], read_measured(name)
    rows = len(found) if entry.derive is None else len(next(iter(entry.derive(found).values())))
    title = header.title if not entry.note else f"{header.title} {entry.note}"
    units = tuple(entry.units.items())
    return Description(
        name, title, header.source, header.law, entry.inputs, entry.outputs, units, rows, columns=found.columns
    )


def _columns(name: str) -> dict[str, np.ndarray]:
    if name == "knots":
        read_in = knots.read_knots()
        x, _ = knots.features(read_in)
        return dict(zip(knots.FEATURES, x.T)) | {"signature": read_in["signature"]}
    if name.startswith("nist/"):
        data = nist(_short(name)).data
        return dict(zip((*data.inputs, *data.outputs), (*data.X.numpy().T, *data.y.numpy().T)))
    entry, (found, _) = MEASURED[name], read_measured(name)
    if entry.derive is not None:
        return entry.derive(found)
    return {column: found[column] for column in (*entry.inputs, *entry.outputs)}


def _short(name: str) -> str:
    return name.partition("/")[2]


def _function(name: str) -> Function | None:
    group, _, short = name.partition("/")
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    if group == "feynman":
        found = next(e for e in feynman.with_units() if e.name == short)
        return Function(
            found.formula, found.ranges, f"{_EQUATIONS}ranges: Udrescu, Tegmark, AI Feynman (arXiv 1905.11481)."
        )
    if group == "dimensionless":
        found = next(e for e in feynman.EQUATIONS if e.name == short)
        return Function(found.formula, found.ranges, f"{_EQUATIONS}Liu et al., KAN (arXiv 2404.19756), table 2.")
    return None


def _output(name: str) -> str:
    group, _, short = name.partition("/")
    output = next((e.output for e in feynman.with_units() if e.name == short), "y") if group == "feynman" else "y"
    function = _function(name)
    # A name that is taken by an input, as y is by functions of x and y.
    return "f" if function is not None and output in function.ranges else output


def _title(name: str) -> str:
    group, _, short = name.partition("/")
    kinds = {
        "feynman": "Equation {} of Feynman's lectures.",
        "dimensionless": "Equation {} of Feynman's lectures, without units.",
    }
    return kinds.get(group, "The function {}.").format(short.replace("_", " ") if group not in kinds else short)


def _known(name: str, where: str) -> str:
    group, _, short = name.partition("/") if isinstance(name, str) else ("", "", "")
    if group == "feynman" and short in feynman.ALIASES:
        return f"feynman/{feynman.ALIASES[short]}"
    everything = names()
    if name in everything:
        return name
    raise UnknownNameError(f"{where}: unknown data set {name!r}.{_hint(str(name), everything)} {_choice()}")


def _hint(name: str, everything: Sequence[str]) -> str:
    lowered = {known.lower(): known for known in everything}
    lowered |= {known.split("/")[1].lower(): known for known in everything if "/" in known}
    close = list(dict.fromkeys(lowered[m] for m in get_close_matches(name.lower(), lowered, n=2, cutoff=0.6)))
    return f" Did you mean {' or '.join(map(repr, close))}?" if close else ""


def _choice() -> str:
    groups = ", ".join(f"names({group!r})" for group in GROUPS if group != "measured")
    return f"Known: {', '.join(names('measured'))}; and in groups: {groups}."
