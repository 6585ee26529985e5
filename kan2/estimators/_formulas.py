"""What estimators of formulas share: the front, its rows, and columns by name."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted, validate_data

from kan2.core.columns import with_columns
from kan2.laws.discovery import Discovery


class FormulaEstimator(BaseEstimator):
    """What `kan2.discover` found, in `discovery_`."""

    discovery_: Discovery

    @property
    def formula_(self) -> Any:
        """The picked formula, a SymPy expression."""
        return self._found("formula_").formula

    @property
    def equations_(self) -> Any:
        """The front as a pandas data frame, one formula a row, the simplest first; without pandas the `Front`."""
        front = self._found("equations_").front
        try:
            table = front.to_frame()
        except ImportError:
            return front
        names = ["complexity", "error", "description_length", "formula", "picked"]
        return table.rename(columns={"pick": "picked"})[names]

    def _columns(self, X: Any) -> np.ndarray:
        names = getattr(self, "feature_names_in_", None)
        X = with_columns(X, None if names is None else tuple(names), type(self).__name__)
        return np.asarray(validate_data(self, X, dtype=np.float64, reset=False))

    def sympy(self, index: int | None = None, *, digits: int | None = None) -> Any:
        """Returns a formula as a SymPy expression.

        Args:
            index: row of `equations_`; None is the pick.
            digits: round floats to this many significant digits; None prints them in full.

        Raises:
            DataError: there is no such row.
        """
        return self._chosen(index).symbolic_formula(digits=digits)

    def latex(self, index: int | None = None, *, digits: int | None = 4) -> str:
        """Returns a formula as LaTeX; arguments as in `sympy`."""
        return self._chosen(index).latex(digits=digits)

    def _chosen(self, index: int | None) -> Discovery:
        check_is_fitted(self)
        return self.discovery_ if index is None else self.discovery_.pick(index)

    def _found(self, name: str) -> Discovery:
        if "discovery_" not in self.__dict__:
            # As an attribute that is not there, so that hasattr tells whether this was fitted.
            raise AttributeError(f"{type(self).__name__}: expected a call of fit before {name}, got none.")
        return self.discovery_

    def __sklearn_is_fitted__(self) -> bool:
        return "discovery_" in self.__dict__
