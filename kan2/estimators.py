"""scikit-learn estimators: KANs in pipelines, grid searches and cross-validation, with column names kept.

Reference: https://scikit-learn.org/stable/developers/develop.html
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from kan2.core.spec import default_names
from kan2.interrupts import Interruptible
from kan2.multkan import MultKAN


class _KANEstimator(BaseEstimator):
    """What both estimators share: settings, and the way from arrays to a trained network."""

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

    def _network(self, X: np.ndarray, n_outputs: int, outputs: tuple[str, ...], weight: np.ndarray | None) -> MultKAN:
        """Returns a new network that starts from inputs of unit size, whatever their units are."""
        model = MultKAN(
            [X.shape[1], *self.hidden, n_outputs],
            mult_arity=self.mult_arity,
            grid=self.grid,
            k=self.k,
            base_fun=self.base_fun,
            inputs=tuple(getattr(self, "feature_names_in_", ())) or default_names("x", X.shape[1]),
            outputs=outputs,
            seed=self._seed,
        )
        first = model.layers[0]
        if first.numeric is not None and first.numeric.has_base:
            with torch.no_grad():
                base = first.numeric.features(torch.tensor(X))[:, :, 0].numpy()
                size = torch.tensor(np.average(base**2, axis=0, weights=weight)).sqrt()
                first.numeric.weight[..., 0] /= torch.where(size > 0, size, 1.0)
        return model

    def _train(self, model: MultKAN, X: np.ndarray, y: np.ndarray, weight: np.ndarray | None, loss: str) -> None:
        self.model_, self.samples_, self.weight_ = model, (X, y), weight
        # Ctrl-C is to end a grid search, not to give it one network that was hardly trained.
        with Interruptible():
            self.history_ = model.fit(
                (X, y),
                self.opt,
                self.steps,
                self.lamb,
                restarts=self.restarts,
                sample_weight=weight,
                seed=self._seed,
                loss=loss,
            )

    def _draw_seed(self) -> None:
        state = self.random_state
        if state is None:
            self._seed = int(np.random.default_rng().integers(2**31))
        else:
            self._seed = int(state.randint(2**31 - 1) if hasattr(state, "randint") else state)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self, "model_")
        return self.model_.predict(validate_data(self, X, dtype=np.float64, reset=False))


class KANRegressor(RegressorMixin, _KANEstimator):
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

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "KANRegressor":
        """Trains a new network.

        Args:
            X: (samples, features) array or data frame, finite.
            y: (samples,) or (samples, outputs) targets.
            sample_weight: (samples,) non-negative weights.
        """
        name = getattr(y, "name", None)
        X, y = validate_data(self, X, y, dtype=np.float64, multi_output=True, y_numeric=True, ensure_min_samples=2)
        self._is_flat = y.ndim == 1
        y = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
        X, y, weight = _weighted(X, y, sample_weight)
        self._draw_seed()
        model = self._network(X, y.shape[1], () if name is None else (str(name),), weight)
        mean = np.average(y, axis=0, weights=weight)
        spread = torch.tensor(np.average((y - mean) ** 2, axis=0, weights=weight)).sqrt()
        with torch.no_grad():
            # The network starts from outputs of the size of y, whatever its unit is.
            model.layers[-1].node_scale.copy_(torch.where(spread > 0, spread, 1.0))
            model.layers[-1].node_bias.copy_(torch.tensor(mean))
        self._train(model, X, y, weight, "mse")
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
            FormulaError: some activations are like no function of the library.
        """
        check_is_fitted(self, "model_")
        options = {"sample_weight": self.weight_, **options}
        with Interruptible():
            model = self.model_.auto_prune(self.samples_, sample_weight=options["sample_weight"])
            return model.auto_symbolic(self.samples_, **options).symbolic_formula(digits=digits)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class KANClassifier(ClassifierMixin, _KANEstimator):
    """A network for classification with the interface of scikit-learn, trained on the cross-entropy.

    Its outputs are logits: one for two classes, that of the second; one a class for more.

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
            random_state=random_state,
        )
        self.label_smoothing = label_smoothing

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "KANClassifier":
        """Trains a new network.

        Args:
            X: (samples, features) array or data frame, finite.
            y: (samples,) labels of at least two classes.
            sample_weight: (samples,) non-negative weights.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        X, codes, weight = _weighted(X, codes.astype(np.float64), sample_weight)
        if len(np.unique(codes)) < 2:
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
        self._train(self._network(X, len(names), names, weight), X, targets, weight, "cross_entropy")
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
        logit has in the loss. They may raise the loss on the training samples by two of its standard errors; then
        the numbers are trained on the labels.

        Args:
            digits: round numbers to this many significant digits; None prints them in full.
            options: of `auto_symbolic`.

        Raises:
            FormulaError: some activations are like no function of the library.
        """
        return self.symbolic_model(**options).symbolic_formula(digits=digits)

    def symbolic_model(self, **options: Any) -> MultKAN:
        """Returns the pruned and symbolified network whose formulas `formula` prints; with the same options."""
        check_is_fitted(self, "model_")
        samples = self.model_.samples(self.samples_, "formula")
        logits = self.model_(samples.X).detach()
        if logits.shape[1] == 1:
            p = torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], 1)
            labels = torch.cat([1 - samples.y, samples.y], 1)
        else:
            p, labels = logits.softmax(1), samples.y
        weight = (p * (1 - p)).mean(1)
        if self.weight_ is not None:
            weight *= torch.tensor(self.weight_)
        losses = -(labels * p.clamp_min(1e-300).log()).sum(1)
        # To second order, a change of the logits by d raises the loss by the mean of weight d^2 / 2; `auto_symbolic`
        # accepts errors of twice what it is told to trust.
        trusted = float((losses.std() / len(losses) ** 0.5 / weight.mean()).sqrt())
        data, weight = (samples.X, logits), weight.numpy()
        size = float(np.sqrt(np.average(logits.square().mean(1).numpy(), weights=weight)))
        with Interruptible():
            model = self.model_.auto_prune(data, floor=trusted / float(logits.std()), sample_weight=weight)
            model = model.auto_symbolic(data, **{"sample_weight": weight, "accuracy": trusted / size, **options})
            model.fit(samples, loss="cross_entropy", steps=20, sample_weight=self.weight_)
        return model


def _weighted(X: np.ndarray, y: np.ndarray, weight: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Returns the samples that count, and their weights; grids follow the samples, so the others must not be there."""
    if weight is None:
        return X, y, None
    weight = _check_sample_weight(weight, X, dtype=np.float64)
    kept = weight > 0
    return X[kept], y[kept], weight[kept]
