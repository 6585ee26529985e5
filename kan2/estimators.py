"""scikit-learn estimators: KANs in pipelines, grid searches and cross-validation, with column names kept.

Reference: https://scikit-learn.org/stable/developers/develop.html
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from kan2.network import MultKAN
from kan2.spec import default_names


class KANRegressor(RegressorMixin, BaseEstimator):
    """A network for regression with the interface of scikit-learn.

    Args:
        hidden: hidden layers of nodes; an entry is a number of addition nodes, or [additions, products].
        mult_arity: number of factors of every product.
        grid: number of grid intervals, >= 1; capped at what the samples can support.
        k: order of the splines, 0 to 5.
        base_fun: "silu", "identity", "tanh" or "zero".
        opt: "LM", "LBFGS" or "Adam".
        steps: largest number of training steps.
        lamb: strength of the sparsity penalty, >= 0.
        restarts: number of random initialisations tried, >= 1.
        random_state: an int for the same network every time; a RandomState; None for another network at every fit.

    Attributes:
        model_: the trained `MultKAN`, named like the columns of the data.
        history_: what `fit` of the network returned.
        n_features_in_: number of columns.
        feature_names_in_: their names, where the data had names.

    Example:
        >>> x = np.linspace(-1, 1, 60).reshape(30, 2)
        >>> regressor = KANRegressor(hidden=()).fit(x, x[:, 0] ** 2 + x[:, 1])
        >>> round(regressor.score(x, x[:, 0] ** 2 + x[:, 1]), 6)
        1.0
    """

    model_: MultKAN

    def __init__(
        self,
        hidden: Sequence[int | Sequence[int]] = (5,),
        *,
        mult_arity: int = 2,
        grid: int = 5,
        k: int = 3,
        base_fun: str = "silu",
        opt: str = "LM",
        steps: int = 100,
        lamb: float = 0.0,
        restarts: int = 1,
        random_state: Any = 0,
    ) -> None:
        self.hidden = hidden
        self.mult_arity = mult_arity
        self.grid = grid
        self.k = k
        self.base_fun = base_fun
        self.opt = opt
        self.steps = steps
        self.lamb = lamb
        self.restarts = restarts
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "KANRegressor":
        """Trains a new network.

        Args:
            X: (samples, features) array or data frame, finite.
            y: (samples,) or (samples, outputs) targets.
            sample_weight: (samples,) non-negative weights.
        """
        name = getattr(y, "name", None)
        X, y = validate_data(
            self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=2
        )  # fmt: skip
        self._is_flat = y.ndim == 1
        y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        outputs = (str(name),) if name is not None else ()
        self._train(X, y, outputs, sample_weight)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Returns the outputs of the network, (samples,) or (samples, outputs) like the targets of `fit`."""
        check_is_fitted(self, "model_")
        X = validate_data(self, X, dtype=np.float64, reset=False)
        values = self.model_.predict(X)
        return values[:, 0] if self._is_flat else values

    def formula(self, digits: int | None = 4, **options: Any) -> Any:
        """Returns the formula of the data in the names of the columns: one SymPy expression an output.

        Args:
            digits: round numbers to this many significant digits; None prints them in full.
            options: of `auto_symbolic`.

        Raises:
            FormulaError: some activations are like no function of the library.
        """
        check_is_fitted(self, "model_")
        return self.model_.auto_prune().auto_symbolic(**options).symbolic_formula(digits=digits)

    def _train(
        self, X: np.ndarray, y: np.ndarray, outputs: tuple[str, ...], sample_weight: Any, **options: Any
    ) -> None:
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
            kept = sample_weight > 0
            # Grids follow the samples, so samples without weight must not be there at all.
            X, y, sample_weight = X[kept], y[kept], sample_weight[kept]
        inputs = tuple(getattr(self, "feature_names_in_", ())) or default_names("x", X.shape[1])
        seed = _seed(self.random_state)
        self.model_ = MultKAN(
            [X.shape[1], *self.hidden, y.shape[1]],
            mult_arity=self.mult_arity,
            grid=self.grid,
            k=self.k,
            base_fun=self.base_fun,
            inputs=inputs,
            outputs=outputs,
            seed=seed,
        )
        _start_at_scale(self.model_, X, y, sample_weight)
        self.history_ = self.model_.fit(
            (X, y),
            self.opt,
            self.steps,
            self.lamb,
            restarts=self.restarts,
            sample_weight=sample_weight,
            seed=seed,
            **options,
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _seed(random_state: Any) -> int:
    if random_state is None:
        return int(np.random.default_rng().integers(2**31))
    return int(random_state.randint(2**31 - 1)) if hasattr(random_state, "randint") else int(random_state)


@torch.no_grad()
def _start_at_scale(model: MultKAN, X: np.ndarray, y: np.ndarray, sample_weight: np.ndarray | None) -> None:
    """Makes a new network start from inputs of unit size and outputs of the size of y, whatever their units are."""
    first, last = model.layers[0], model.layers[-1]
    if first.numeric is not None and first.numeric.has_base:
        base = first.numeric.features(torch.tensor(X))[:, :, 0].numpy()
        size = torch.tensor(np.average(base**2, axis=0, weights=sample_weight)).sqrt()
        first.numeric.weight[..., 0] /= torch.where(size > 0, size, 1.0)
    mean = np.average(y, axis=0, weights=sample_weight)
    spread = torch.tensor(np.average((y - mean) ** 2, axis=0, weights=sample_weight)).sqrt()
    last.node_scale.copy_(torch.where(spread > 0, spread, 1.0))
    last.node_bias.copy_(torch.tensor(mean))
