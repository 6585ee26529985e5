"""`KANFormulaClassifier`: formulas of the logit of two classes, the simplest first, as a classifier of scikit-learn."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, validate_data

from kan2._discover import discover
from kan2.core.columns import names_of_targets, samples_and_targets
from kan2.core.data import Dataset
from kan2.core.spec import default_names
from kan2.core.tensors import to_tensor
from kan2.errors import DataError, named_options
from kan2.estimators._base import drawn_seed
from kan2.estimators._formulas import FormulaEstimator
from kan2.laws.labels.law import LabelLaw


class KANFormulaClassifier(ClassifierMixin, FormulaEstimator):
    """Formulas of the logit of two classes found by `kan2.discover`, with the interface of scikit-learn.

    Args:
        library: names of the functions that a formula may have; by default all. Sums, products and powers always may.
        guesses: formulas of the logit, as text or SymPy, to put on the front; symbols that are no columns are fitted.
        constants: names of constants that numbers may be, or a mapping; see `kan2.discover`.
        keep: share (0 to 0.9) or number of rows kept aside, on which formulas are judged; by default each row is left
            out in turn; "end" keeps the last rows aside.
        work: limit, >= 0, of the search in operations, about as many as a core at 3 GHz does in so many seconds; the
            result does not depend on the machine. With 0 there are only short approximations.
        seconds: limit of wall-clock time of a fit, >= 0; the result depends on the speed of the machine then. None is
            no limit.
        random_state: an int for the same formulas every time; a RandomState or Generator; None for another seed at
            every fit.

    Attributes:
        discovery_: what `kan2.discover` returned, a law of the logit of `classes_[1]`.
        classes_: the two labels, sorted.
        equations_: the front as a pandas data frame with the columns complexity, error, description_length, formula and
            picked; without pandas the `Front` itself.
        formula_: the picked formula of the logit in the names of the columns, a SymPy expression.
        n_features_in_: number of columns.
        feature_names_in_: their names, where the data had names.

    Example:
        >>> x = np.random.default_rng(0).uniform(-1, 1, (200, 2))
        >>> classifier = KANFormulaClassifier(work=0).fit(x, np.where(x[:, 0] > x[:, 1], "above", "below"))
        >>> classifier.predict([[0.5, -0.5], [-0.5, 0.5]]).tolist()
        ['above', 'below']
    """

    classes_: np.ndarray

    @named_options
    def __init__(
        self,
        *,
        library: Sequence[str] | None = None,
        guesses: Any = None,
        constants: Any = None,
        keep: float | str | None = None,
        work: float = 5.0,
        seconds: float | None = None,
        random_state: Any = 0,
    ) -> None:
        self.library = library
        self.guesses = guesses
        self.constants = constants
        self.keep = keep
        self.work = work
        self.seconds = seconds
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, target: str | None = None
    ) -> "KANFormulaClassifier":
        """Looks for formulas.

        Args:
            X: (samples, features) array or frame, finite; with `target` a frame or the path of a table as a whole.
            y: (samples,) labels of two classes, words or numbers.
            sample_weight: (samples,) non-negative weights, of which only ratios matter.
            target: name of the column of labels in a table as a whole.

        Raises:
            DataError: columns hold no numbers, `target` is given beside y.
            UnknownNameError: a column, or a function of the library, is not there.
            TrainingError: a setting is out of range.
            ValueError: there are not two classes.
        """
        where = type(self).__name__
        X, y = samples_and_targets(X, y, target, where)
        outputs = names_of_targets(y, target)
        if np.ma.is_masked(y):
            raise DataError(f"{where}: expected a label for each sample, got masked ones. Leave such rows out.")
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        check_classification_targets(y)
        if (kind := type_of_target(y, input_name="y")) != "binary":
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {kind}. Wrap {where} into "
                "sklearn.multiclass.OneVsRestClassifier for more classes."
            )
        weight = None if sample_weight is None else _check_sample_weight(sample_weight, X, dtype=np.float64)
        labels, codes = np.unique(y, return_inverse=True)
        there = labels if weight is None else labels[np.unique(codes[weight > 0])]
        if len(there) < 2:
            raise ValueError(f"{where}: expected two classes, got one class. Pass samples of another.")
        self.classes_ = labels
        inputs = tuple(getattr(self, "feature_names_in_", ())) or default_names("x", X.shape[1])
        targets = to_tensor(codes.astype(np.float64)[:, None], where)
        self.discovery_ = discover(
            Dataset(to_tensor(X, where), targets, inputs, outputs, classes=tuple(labels.tolist())),
            library=self.library,
            guesses=self.guesses,
            constants=self.constants,
            keep=self.keep,
            work=self.work,
            seconds=self.seconds,
            sample_weight=weight,
            seed=drawn_seed(self.random_state, where),
        )
        return self

    def decision_function(self, X: Any, index: int | None = None) -> np.ndarray:
        """Returns the logits of the second class, (samples,); arguments as in `predict`."""
        return self._law(index).logit(self._columns(X))

    def predict_proba(self, X: Any, index: int | None = None) -> np.ndarray:
        """Returns the probability of each class, (samples, 2), as `classes_` has them; arguments as in `predict`."""
        return self._law(index).predict_proba(self._columns(X))

    def predict(self, X: Any, index: int | None = None) -> np.ndarray:
        """Returns the likelier label of each sample, (samples,).

        Args:
            X: (samples, features); a frame may have other columns and another order.
            index: row of `equations_`, negative ones count from the end; None is the pick.

        Raises:
            DataError: there is no such row, or the formula has no value at a sample.
        """
        law = self._law(index)
        return self.classes_[law.codes(self._columns(X))]

    def _law(self, index: int | None) -> LabelLaw:
        return cast(LabelLaw, self._chosen(index))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        return tags
