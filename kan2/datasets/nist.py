"""The 27 problems of nonlinear regression by which NIST tests programs: a model, rows, two starts, certified values.

The second start of a problem is nearer to the solution than the first. *Certified* values were computed by NIST in
128-bit arithmetic and hold to the eleven digits that are printed; the *level* is how hard NIST finds a problem.

Reference: NIST/ITL, Statistical Reference Datasets, https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from kan2 import options
from kan2.core.data import Dataset
from kan2.datasets.description import Description
from kan2.errors import named_options

LEVELS = ("lower", "average", "higher")
TITLES = {
    "Misra1a": "Adsorption in one layer (dental research): volume against pressure.",
    "Chwirut2": "Ultrasonic calibration, 54 rows: response against distance in metal.",
    "Chwirut1": "Ultrasonic calibration, 214 rows: response against distance in metal.",
    "Lanczos3": "Three exponentials that decay, computed and rounded to 5 digits.",
    "Gauss1": "Two peaks well apart on an exponential, with noise from a generator.",
    "Gauss2": "Two peaks that blend slightly on an exponential, with noise from a generator.",
    "DanWood": "Energy from a carbon filament against its temperature in 1000 K.",
    "Misra1b": "Adsorption in one layer, a second model: volume against pressure.",
    "Kirby2": "Standards of line width in a scanning electron microscope.",
    "Hahn1": "Coefficient of thermal expansion of copper against temperature in K.",
    "Nelson": "Logarithm of dielectric breakdown strength in kV against weeks and temperature in degrees Celsius.",
    "MGH17": "A constant and two exponentials, hard for algorithms (Osborne).",
    "Lanczos1": "Three exponentials that decay, computed to 14 digits.",
    "Lanczos2": "Three exponentials that decay, computed and rounded to 6 digits.",
    "Gauss3": "Two peaks that blend strongly on an exponential, with noise from a generator.",
    "Misra1c": "Adsorption in one layer, a third model: volume against pressure.",
    "Misra1d": "Adsorption in one layer, a fourth model: volume against pressure.",
    "Roszman1": "Quantum defects of iodine atoms against the energy of the excited state.",
    "ENSO": "Difference of air pressure between Easter Island and Darwin, month by month.",
    "MGH09": "A ratio of polynomials, hard for algorithms (Kowalik and Osborne).",
    "Thurber": "Mobility of electrons in a semiconductor against the logarithm of density.",
    "BoxBOD": "Biochemical oxygen demand in mg/l against days of incubation.",
    "Rat42": "Yield of pasture against time of growth.",
    "MGH10": "An exponential of a reciprocal, hard for algorithms (Meyer).",
    "Eckerle4": "Transmittance of circular interference against wavelength.",
    "Rat43": "Dry weight of onion bulbs and tops against time of growth.",
    "Bennett5": "Magnetisation of a superconductor against the logarithm of minutes.",
}
"""What is measured, by name of the problem, in the order of NIST: the lower level of difficulty first."""


@dataclass(frozen=True, eq=False)
class NistProblem:
    """A model, its rows, and what the best parameters are.

    Attributes:
        name: by which NIST knows it.
        level: of difficulty: "lower", "average" or "higher".
        title: one sentence.
        source: where the rows were published.
        formula: the model in the inputs and the parameters b1, b2, ..., as text.
        target: name of what the formula gives; `log_y` where NIST models the logarithm of y.
        inputs: names of the predictors.
        data: the rows, one input or two, and one target.
        starts: two sets of parameters to start from, the farther one first.
        certified: the parameters with the least sum of squares, to 11 digits.
        standard_errors: of the parameters.
        residual_sum_of_squares: at the certified parameters.
        residual_standard_deviation: the root of that over the degrees of freedom.
        degrees_of_freedom: number of rows less number of parameters.
    """

    name: str
    level: str
    title: str
    source: str
    formula: str
    target: str
    inputs: tuple[str, ...]
    data: Dataset
    starts: tuple[dict[str, float], dict[str, float]]
    certified: dict[str, float]
    standard_errors: dict[str, float]
    residual_sum_of_squares: float
    residual_standard_deviation: float
    degrees_of_freedom: int


@named_options
def nist_names(level: str | None = None) -> tuple[str, ...]:
    """Returns the names of NIST's problems, the easier ones first.

    Args:
        level: "lower", "average" or "higher", for those of one level of difficulty.

    Raises:
        UnknownNameError: there is no such level.

    Example:
        >>> nist_names()[:2], nist_names("higher")[:2], len(nist_names())
        (('Misra1a', 'Chwirut2'), ('MGH09', 'Thurber'), 27)
    """
    if level is None:
        return tuple(TITLES)
    level = options.choice("nist_names", "level", level, LEVELS)
    return tuple(name for name in TITLES if _problems()[name]["level"] == level)


@named_options
def nist(name: str) -> NistProblem:
    """Returns a problem of NIST's: model, rows, starts and certified values.

    Args:
        name: one of `nist_names()`.

    Raises:
        UnknownNameError: there is no such problem.

    Example:
        >>> problem = nist("Misra1a")
        >>> problem.formula, problem.data
        ('b1*(1-exp(-b2*x))', Dataset(14 samples, x -> y))
        >>> problem.certified, problem.starts[0]
        ({'b1': 238.94212918, 'b2': 0.00055015643181}, {'b1': 500.0, 'b2': 0.0001})
    """
    told, found = describe_problem(name), _problems()[name]
    columns = _with_target(name)
    x, y = (torch.from_numpy(np.stack([columns[c] for c in part], 1)) for part in (told.inputs, told.outputs))
    first, second = ({key: float(value) for key, value in start.items()} for start in found["starts"])
    return NistProblem(
        name=name,
        level=found["level"],
        title=TITLES[name],
        source=found["source"],
        formula=found["formula"],
        target=found["target"],
        inputs=told.inputs,
        data=Dataset(x, y, told.inputs, told.outputs, description=str(told)),
        starts=(first, second),
        certified=dict(found["certified"]),
        standard_errors=dict(found["standard_errors"]),
        residual_sum_of_squares=found["residual_sum_of_squares"],
        residual_standard_deviation=found["residual_standard_deviation"],
        degrees_of_freedom=found["degrees_of_freedom"],
    )


def describe_problem(name: str) -> Description:
    """Returns what a problem is; its law is the model at the certified parameters.

    Raises:
        UnknownNameError: there is no such problem.

    Example:
        >>> describe_problem("Misra1a").law
        'y = b1*(1-exp(-b2*x)) with b1 = 238.94212918, b2 = 0.00055015643181'
    """
    found = _problems()[options.choice("nist", "problem", name, TITLES)]
    columns = tuple(found["columns"])
    values = ", ".join(f"{parameter} = {value:.11g}" for parameter, value in found["certified"].items())
    return Description(
        f"nist/{name}",
        f"{TITLES[name]} Level of difficulty: {found['level']}.",
        f"{found['source']} NIST/ITL, Statistical Reference Datasets, nonlinear regression.",
        f"{found['target']} = {found['formula']} with {values}",
        columns[1:],
        (found["target"],),
        rows=len(found["columns"]["y"]),
        columns=columns,
    )


def read_columns(name: str) -> dict[str, Float[np.ndarray, "rows"]]:
    """Returns the columns that NIST prints: the response y, then the predictors.

    Example:
        >>> list(read_columns("Nelson")), float(read_columns("BoxBOD")["y"][0])
        (['y', 'x1', 'x2'], 109.0)
    """
    return {column: np.array(values, dtype=np.float64) for column, values in _problems()[name]["columns"].items()}


def _with_target(name: str) -> dict[str, np.ndarray]:
    columns = read_columns(name)
    return columns | {"log_y": np.log(columns["y"])} if _problems()[name]["target"] == "log_y" else columns


@cache
def _problems() -> dict[str, Any]:
    return json.loads((files("kan2.datasets") / "data" / "nist.json").read_text(encoding="utf-8"))
