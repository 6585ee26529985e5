"""scikit-learn estimators: KANs in pipelines, grid searches and cross-validation, with column names kept.

Reference: https://scikit-learn.org/stable/developers/develop.html
"""

import copy
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
from sympy import preorder_traversal

from kan2 import options
from kan2.core.columns import is_array, samples_and_targets, with_columns
from kan2.core.data import Columns
from kan2.core.spec import default_names
from kan2.discovery.symbolify import auto_symbolic
from kan2.errors import FormulaError, SpecError, TrainingError, check_options, named_options
from kan2.interrupts import Interruptible
from kan2.multkan import MultKAN
from kan2.tables.frames import numbers
from kan2.training.distinct import distinct
from kan2.training.history import History
from kan2.training.objective import Objective

WIDE = (5,)  # hidden layers where a sum of functions of one column each does not serve
WORTH = 0.8  # of the expected loss of the smaller network must be undercut by the wider one
ENOUGH = 1e-6  # expected loss, as a share of the variance, that needs no wider network


class _KANEstimator(BaseEstimator):
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
        state = self.random_state
        if state is None:
            self._seed = int(np.random.default_rng().integers(2**31))
        elif isinstance(state, np.random.RandomState | np.random.Generator):
            draw = state.randint if isinstance(state, np.random.RandomState) else state.integers
            self._seed = int(draw(2**31 - 1))
        else:
            self._seed = options.seed(type(self).__name__, state, "random_state")

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        names = getattr(self, "feature_names_in_", None)
        X = with_columns(X, None if names is None else tuple(names), type(self).__name__)
        return self.model_.predict(validate_data(self, X, dtype=np.float64, reset=False))


class KANRegressor(RegressorMixin, _KANEstimator):
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
        name = getattr(y, "name", None) if target is None else target if isinstance(target, str) else None
        y = y if y is None or is_array(y) else numbers(y, type(self).__name__)
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=2)
        self._is_flat = y.ndim == 1
        y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        X, y, weight = _distinct(X, y, sample_weight)
        self._draw_seed()
        self._train(X, y, () if name is None else (str(name),), weight, "mse")
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
        _check_digits(digits)
        return self._determined(self._symbolic_model("mse", options).symbolic_formula(digits=digits))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class KANClassifier(ClassifierMixin, _KANEstimator):
    """A network for classification with the interface of scikit-learn, trained on the cross-entropy.

    Its outputs are logits: one for two classes, that of the second; one a class for more.

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

        label_smoothing: share of every label that is spread over all classes, 0 to 1.

    Attributes:
        classes_: the labels, sorted.
        model_: the trained `MultKAN`, named like the columns of the data.
        history_: what `fit` of the network returned.
        samples_: the samples and targets it was trained on, for formulas.
        weight_: their weights, or None.
        n_features_in_: number of columns.
        feature_names_in_: their names, where the data had names.

    Example:
        >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        >>> classifier = KANClassifier(hidden=(), steps=20).fit(x, x[:, 0] ** 2 > 0.3)
        >>> classifier.predict([[0.9, 0.0], [0.1, 0.0]]).tolist()
        [True, False]
    """

    classes_: np.ndarray

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
        label_smoothing: float = 1e-2,
    ) -> None:
        super().__init__(
            hidden,
            mult_arity=mult_arity,
            grid=grid,
            k=k,
            base_fun=base_fun,
            opt=opt,
            steps=steps,
            lamb=lamb,
            restarts=restarts,
            n_jobs=n_jobs,
            random_state=random_state,
        )
        self.label_smoothing = label_smoothing

    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, *, target: str | None = None) -> "KANClassifier":
        """Trains a new network.

        Args:
            X: (samples, features) array or frame, finite; with `target` a frame or the path of a table as a whole.
            y: (samples,) labels of at least two classes.
            sample_weight: (samples,) non-negative weights.
            target: name of the column of labels in a table as a whole.

        Raises:
            DataError: columns hold no numbers, `target` is given beside y.
            UnknownNameError: a column is not there.
        """
        X, y = samples_and_targets(X, y, target, type(self).__name__)
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        options.number("KANClassifier", "label_smoothing", self.label_smoothing, 0, 1)
        labels, codes = np.unique(y, return_inverse=True)
        X, numbers, weight = _distinct(X, codes.astype(np.float64)[:, None], sample_weight)
        there, codes = np.unique(numbers[:, 0].astype(int), return_inverse=True)
        self.classes_ = labels[there]
        if len(there) < 2:
            raise ValueError("KANClassifier: expected at least two classes, got one class. Pass samples of another.")
        self._draw_seed()
        n_classes = len(self.classes_)
        names = tuple(str(label) for label in (self.classes_ if n_classes > 2 else self.classes_[1:]))
        # Without smoothing, classes that can be separated have no best network: logits would grow for ever.
        wrong = self.label_smoothing / n_classes
        if n_classes == 2:
            targets = np.where(codes == 1, 1 - wrong, wrong)[:, None]
        else:
            targets = np.where(codes[:, None] == np.arange(n_classes), 1 - (n_classes - 1) * wrong, wrong)
        self._train(X, targets, names, weight, "cross_entropy")
        return self

    def decision_function(self, X: Any) -> np.ndarray:
        """Returns the logits, (samples,) of the second of two classes or (samples, classes)."""
        values = self._outputs(X)
        return values[:, 0] if len(self.classes_) == 2 else values

    def predict_proba(self, X: Any) -> np.ndarray:
        """Returns the probability of each class, (samples, classes)."""
        logits = torch.tensor(self._outputs(X))
        if len(self.classes_) == 2:
            return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], 1).numpy()
        return logits.softmax(1).numpy()

    def predict(self, X: Any) -> np.ndarray:
        """Returns the most probable class of each sample."""
        logits = self._outputs(X)
        chosen = (logits[:, 0] > 0).astype(int) if len(self.classes_) == 2 else logits.argmax(1)
        return self.classes_[chosen]

    def formula(self, digits: int | None = 4, **options: Any) -> Any:
        """Returns the formulas of the logits in the names of the columns: one for two classes, else one a class.

        Functions are fitted to the logits of the network, each sample with the weight p (1 - p) that a change of its
        logit has in the loss; then the numbers are trained on the labels, and the result must explain them as well as
        the network does, on rows kept aside.

        Args:
            digits: round numbers to this many significant digits; None prints them in full.
            options: of `auto_symbolic`.

        Raises:
            FormulaError: some activations are like no function of the library, or a formula has as many numbers as
                there are different samples.
        """
        _check_digits(digits)
        return self._determined(self.symbolic_model(**options).symbolic_formula(digits=digits))

    def symbolic_model(self, **options: Any) -> MultKAN:
        """Returns the pruned and symbolified network whose formulas `formula` prints; with the same options."""
        return self._symbolic_model("cross_entropy", options)


def _check_digits(digits: Any) -> None:
    # Before minutes of symbolification.
    if digits is not None:
        options.whole("formula", "digits", digits, 1, 100, remedy="None prints all digits.")


def _distinct(X: np.ndarray, y: np.ndarray, weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Returns every different sample that counts once, and their weights, so that formulas know them as `fit` does."""
    if weight is not None:
        weight = torch.tensor(_check_sample_weight(weight, X, dtype=np.float64))
        if float(weight.min()) < 0:
            raise ValueError("fit: expected non-negative sample weights, got negative ones. Leave such samples out.")
    X_left, y_left, left = distinct(torch.tensor(X), torch.tensor(y), weight)
    return X_left.numpy(), y_left.numpy(), None if left is None else left.numpy()
