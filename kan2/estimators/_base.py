"""What the estimators share: settings, and the way from arrays or tables to a trained network and its formula."""

import copy
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from sympy import preorder_traversal

from kan2 import options
from kan2.core.columns import with_columns
from kan2.core.spec import default_names
from kan2.discovery.symbolify import auto_symbolic
from kan2.errors import FormulaError, SpecError, TrainingError, check_options, named_options
from kan2.interrupts import Interruptible
from kan2.multkan import MultKAN
from kan2.training.distinct import distinct
from kan2.training.history import History
from kan2.training.objective import Objective

WIDE = (5,)  # hidden layers where a sum of functions of one column each does not serve
WORTH = 0.8  # of the expected loss of the smaller network must be undercut by the wider one
ENOUGH = 1e-6  # expected loss, as a share of the variance, that needs no wider network


class KANEstimator(BaseEstimator):
    """What both estimators share: settings, and the way from arrays to a trained network."""

    model_: MultKAN

    @named_options
    def __init__(
        self,
        hidden: Sequence[int | Sequence[int]] | None = None,
        *,
        mult_arity: int = 2,
        grid: int = 5,
        k: int = 3,
        base_fun: str = "silu",
        opt: str = "LM",
        steps: int = 100,
        lamb: float = 0.0,
        restarts: int = 1,
        n_jobs: int | None = None,
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
        self.n_jobs = n_jobs
        self.random_state = random_state

    def _network(
        self, hidden: Sequence[int | Sequence[int]], n_inputs: int, n_outputs: int, outputs: tuple[str, ...]
    ) -> MultKAN:
        return MultKAN(
            [n_inputs, *hidden, n_outputs],
            mult_arity=self.mult_arity,
            grid=self.grid,
            k=self.k,
            base_fun=self.base_fun,
            inputs=tuple(getattr(self, "feature_names_in_", ())) or default_names("x", n_inputs),
            outputs=outputs,
            seed=self._seed,
        )

    def _train(
        self, X: np.ndarray, y: np.ndarray, outputs: tuple[str, ...], weight: np.ndarray | None, loss: str
    ) -> None:
        self._check_options()

        def trained(hidden: Sequence[int | Sequence[int]], bound: float = inf) -> tuple[MultKAN, History]:
            # What promises no less than the bound is not worth the rest of its steps.
            model = self._network(hidden, X.shape[1], y.shape[1], outputs)
            settings = {"restarts": self.restarts, "n_jobs": self.n_jobs, "sample_weight": weight}
            settings |= {"seed": self._seed, "loss": loss}
            settings["callbacks"] = [lambda _, history: history.score is not None and history.score >= bound]
            return model, model.fit((X, y), self.opt, self.steps, self.lamb, **settings)

        # Ctrl-C is to end a grid search, not to give it one network that was hardly trained.
        with Interruptible():
            hidden = self.hidden
            model, history = self._chosen(trained, *X.shape) if hidden is None else trained(hidden)
        self.model_, self.history_, self.samples_, self.weight_ = model, history, (X, y), weight

    def _chosen(
        self, trained: Callable[..., tuple[MultKAN, History]], n_samples: int, n_inputs: int
    ) -> tuple[MultKAN, History]:
        # What more nodes promise must be worth their numbers. Fewer samples than a quadratic form has numbers cannot
        # tell which columns act together: of 40 samples of ten columns the wider network promised less than half of
        # the error that it had on others.
        model, history = trained(())
        n_pairs = (n_inputs + 1) * (n_inputs + 2) // 2
        if history.score is not None and (history.score <= ENOUGH or n_samples < n_pairs):
            return model, history
        wide, its_history = trained(WIDE, inf if history.score is None else history.score)
        if history.score is not None and its_history.score is not None:
            is_worth = its_history.score < WORTH * history.score
            return (wide, its_history) if is_worth else (model, history)
        return wide, its_history

    def _symbolic_model(self, loss: str, settings: dict[str, Any]) -> MultKAN:
        """Returns the network pruned and symbolified, judged by the loss it was trained on."""
        check_options("formula", settings, auto_symbolic)
        check_is_fitted(self, "model_")
        model = copy.deepcopy(self.model_)  # what was pickled has forgotten its data
        model.data = model.samples(self.samples_, "formula")
        model.objective = Objective(loss).weighted(settings.pop("sample_weight", self.weight_), model.data, "formula")
        with Interruptible():
            model = model.auto_prune().auto_symbolic(**settings)
        return model

    def _determined(self, formulas: Any) -> Any:
        n_samples = len(self.samples_[0])
        for formula in formulas if isinstance(formulas, list) else [formulas]:
            n_numbers = sum(part.is_Float for part in preorder_traversal(formula))
            # As many numbers as samples fit whatever is measured; a constant claims nothing else.
            if n_numbers > max(1, n_samples - 1):
                raise FormulaError(
                    f"formula: expected more different samples than numbers, got {n_samples} samples for the "
                    f"{n_numbers} numbers of {formula}. Collect more samples, or take `model_` without a formula."
                )
        return formulas

    def _check_options(self) -> None:
        # scikit-learn wants settings checked when they are used, not when they are set. `fit` of the network checks the
        # others before it trains.
        where = type(self).__name__
        if self.hidden is not None:
            example = f"({self.hidden},)" if options.is_whole(self.hidden, 1) else "(5,)"
            options.listed(where, "hidden", self.hidden, "numbers of nodes", example, error=SpecError)
        options.whole(where, "mult_arity", self.mult_arity, 2, error=SpecError)
        options.whole(where, "steps", self.steps, 0, error=TrainingError)

    def _draw_seed(self) -> None:
        self._seed = drawn_seed(self.random_state, type(self).__name__)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        names = getattr(self, "feature_names_in_", None)
        X = with_columns(X, None if names is None else tuple(names), type(self).__name__)
        return self.model_.predict(validate_data(self, X, dtype=np.float64, reset=False))


def drawn_seed(state: Any, where: str) -> int:
    """Returns the seed that a random state of scikit-learn stands for: itself, drawn from it, or another every time."""
    if state is None:
        return int(np.random.default_rng().integers(2**31))
    if isinstance(state, np.random.RandomState | np.random.Generator):
        draw = state.randint if isinstance(state, np.random.RandomState) else state.integers
        return int(draw(2**31 - 1))
    return options.seed(where, state, "random_state")


def check_digits(digits: Any) -> None:
    # Before minutes of symbolification.
    if digits is not None:
        options.whole("formula", "digits", digits, 1, 100, remedy="None prints all digits.")


def different_samples(X: np.ndarray, y: np.ndarray, weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Returns every different sample that counts once, and their weights, so that formulas know them as `fit` does."""
    if weight is not None:
        weight = torch.tensor(_check_sample_weight(weight, X, dtype=np.float64))
        if float(weight.min()) < 0:
            raise ValueError("fit: expected non-negative sample weights, got negative ones. Leave such samples out.")
    X_left, y_left, left = distinct(torch.tensor(X), torch.tensor(y), weight)
    return X_left.numpy(), y_left.numpy(), None if left is None else left.numpy()
