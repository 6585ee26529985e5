"""`KANClassifier`: a network as a classifier of scikit-learn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from kan2 import options
from kan2.core.columns import samples_and_targets
from kan2.errors import DataError, named_options
from kan2.estimators._base import KANEstimator, check_digits, different_samples
from kan2.multkan import MultKAN


class KANClassifier(ClassifierMixin, KANEstimator):
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
        if np.ma.is_masked(y):
            raise DataError("KANClassifier: expected a label for each sample, got masked ones. Leave such rows out.")
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        options.number("KANClassifier", "label_smoothing", self.label_smoothing, 0, 1)
        labels, codes = np.unique(y, return_inverse=True)
        X, numbers, weight = different_samples(X, codes.astype(np.float64)[:, None], sample_weight)
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
        check_digits(digits)
        return self._determined(self.symbolic_model(**options).symbolic_formula(digits=digits))

    def symbolic_model(self, **options: Any) -> MultKAN:
        """Returns the pruned and symbolified network whose formulas `formula` prints; with the same options."""
        return self._symbolic_model("cross_entropy", options)
