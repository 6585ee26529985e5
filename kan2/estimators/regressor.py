"""`KANRegressor`: a network as a regressor of scikit-learn."""

from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from kan2.core.columns import array_of, names_of_targets, samples_and_targets
from kan2.core.data import Columns
from kan2.estimators._base import KANEstimator, check_digits, different_samples


class KANRegressor(RegressorMixin, KANEstimator):
    """A network for regression with the interface of scikit-learn.

    Args:
        hidden: hidden layers of nodes; an entry is a number of addition nodes, or [additions, products]. By default
            five nodes, or none at all where a small table promises no less from a sum of functions of one column each.
        mult_arity: number of factors of every product.
        grid: number of grid intervals, >= 1; capped at what the samples can support.
        k: order of the splines, 0 to 5.
        base_fun: "silu", "identity", "tanh" or "zero".
        opt: "LM", "LBFGS" or "Adam".
        steps: largest number of training steps.
        lamb: strength of the sparsity penalty, >= 0.
        restarts: number of random initialisations tried, >= 1.
        n_jobs: processes that try them, as in joblib; the result does not depend on it.
        random_state: an int for the same network every time; a RandomState; None for another network at every fit.

    Attributes:
        model_: the trained `MultKAN`, named like the columns of the data.
        history_: what `fit` of the network returned.
        samples_: the samples and targets it was trained on, for formulas.
        weight_: their weights, or None.
        n_features_in_: number of columns.
        feature_names_in_: their names, where the data had names.

    Example:
        >>> x = np.linspace(-1, 1, 60).reshape(30, 2)
        >>> regressor = KANRegressor(hidden=()).fit(x, x[:, 0] ** 2 + x[:, 1])
        >>> round(regressor.score(x, x[:, 0] ** 2 + x[:, 1]), 6)
        1.0
    """

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, target: Columns | None = None) -> "KANRegressor":
        """Trains a new network.

        Args:
            X: (samples, features) array or frame, finite; with `target` a frame or the path of a table as a whole.
            y: (samples,) or (samples, outputs) targets.
            sample_weight: (samples,) non-negative weights.
            target: name of the column of targets in a table as a whole, or several.

        Raises:
            DataError: columns hold no numbers, `target` is given beside y.
            UnknownNameError: a column is not there.
        """
        X, y = samples_and_targets(X, y, target, type(self).__name__)
        names = names_of_targets(y, target)
        y = y if y is None else array_of(y, type(self).__name__)
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=2)
        self._is_flat = y.ndim == 1
        y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        X, y, weight = different_samples(X, y, sample_weight)
        self._draw_seed()
        self._train(X, y, names, weight, "mse")
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Returns the outputs of the network, (samples,) or (samples, outputs) like the targets of `fit`."""
        values = self._outputs(X)
        return values[:, 0] if self._is_flat else values

    def formula(self, digits: int | None = 4, **options: Any) -> Any:
        """Returns the formula of the data in the names of the columns: one SymPy expression an output.

        Args:
            digits: round numbers to this many significant digits; None prints them in full.
            options: of `auto_symbolic`.

        Raises:
            FormulaError: some activations are like no function of the library, or a formula has as many numbers as
                there are different samples.
        """
        check_digits(digits)
        return self._determined(self._symbolic_model("mse", options).symbolic_formula(digits=digits))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
