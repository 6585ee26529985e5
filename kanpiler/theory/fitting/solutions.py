"""Solutions of an equation that was fitted: which y satisfies F(x, y) = 0?

Newton's method begins, on each row, at the measured value of the nearest row of the fit.
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.spatial import KDTree

from kanpiler.theory.fitting.model import Rows
from kanpiler.theory.fitting.problem import Fitted


def solutions(
    fitted: Fitted, columns: Mapping[str, Float[ndarray, " batch"]], codes: Mapping[str, ndarray]
) -> Float[ndarray, " batch"]:
    """Returns the solutions on new rows, nan where none is found.

    Args:
        fitted: an equation, fitted to a table for one of its columns.
        columns: the others.
        codes: of each column of labels, which of the levels each row has.
    """
    name, known = fitted.model.solved_for, fitted.rows.columns
    others = [other for other in known if other != name]
    n = len(next(iter(columns.values()))) if columns else 1
    start = np.full(n, float(np.median(known[name])))
    if others:
        size = {other: float(np.std(known[other])) or 1.0 for other in others}
        tree = KDTree(np.stack([known[other] / size[other] for other in others], 1))
        nearest = tree.query(np.stack([columns[other] / size[other] for other in others], 1))[1]
        start = known[name][nearest]
    rows = Rows({**columns, name: start}, codes, start[:, None])
    with np.errstate(all="ignore"):
        return fitted.model.predict(fitted.x, fitted.fixed, rows, False)[0][:, 0]
