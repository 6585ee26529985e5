"""`KANFormulaRegressor`: formulas of a table, the simplest first, as a regressor of scikit-learn."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.validation import validate_data

from kan2._discover import discover
from kan2.core.columns import array_of, names_of_targets, samples_and_targets
from kan2.core.data import Columns, Dataset
from kan2.core.spec import default_names
from kan2.core.tensors import to_tensor
from kan2.errors import ShapeError, named_options
from kan2.estimators._base import different_samples, drawn_seed
from kan2.estimators._formulas import FormulaEstimator


class KANFormulaRegressor(RegressorMixin, FormulaEstimator):
    """Formulas found by `kan2.discover`, with the interface of scikit-learn.

    `fit` looks for an exact law and for short approximations; it predicts by the formula with the shortest description,
    or by any other one of the front. Networks are left out by default: an ensemble, a search of settings or a
    cross-validation calls `fit` many times, and networks take most of the time of `discover`. For the same reason the
    search for an exact law may work a quarter of what it may in `discover`, one to three seconds where
    there is none. `KANFormulaRegressor(networks=True, work=20)` searches as `discover` does.

    Args:
        library: names of the functions that a formula may have; by default all. Sums, products and powers always may.
        guesses: formulas, as text or SymPy, to put on the front; symbols that are no columns are fitted constants.
        templates: forms with unknown functions, such as "f(x1, x2)*exp(g(x3))"; see `kan2.discover`.
        constants: names of constants that numbers may be, such as "G", or a mapping; see `kan2.discover`.
        loss: by which numbers are fitted and formulas judged, where not by squares; see `kan2.discover`. There are no
            weights beside it.
        keep: share (0 to 0.9) or number of rows kept aside, on which formulas are judged; by default a fifth, 100 at
            most; with less than 30 rows, or keep=0, each row is left out in turn; "end" keeps the last rows aside.
        accuracy: how well the targets are known, as a share of them.
        work: limit, >= 0, of the search for an exact law in operations, about as many as a core at 3 GHz does in so
            many seconds; the result does not depend on the machine. `discover` has 20. With 0 there are only
            approximations.
        networks: whether networks are trained as well where no law is found, as `discover` does.
        attempts: largest number of their random starts, >= 1.
        seconds: limit of wall-clock time of a fit, >= 0; the result depends on the speed of the machine then. None is
            no limit.
        n_jobs: number of processes for several templates, as in joblib; the result does not depend on it.
        units: of the columns and the target, by name; columns of arrays are "x1", "x2" and so on, their target is
            "y1". Only formulas in which units agree are found then; see `kan2.discover`.
        random_state: an int for the same formulas every time; a RandomState or Generator; None for other rows aside at
            every fit.

    Attributes:
        discovery_: what `kan2.discover` returned.
        equations_: the front as a pandas data frame with the columns complexity, error, description_length, formula and
            picked; without pandas the `Front` itself.
        formula_: the picked formula in the names of the columns, a SymPy expression.
        n_features_in_: number of columns.
        feature_names_in_: their names, where the data had names.

    Example:
        >>> x = np.random.default_rng(0).uniform(1, 2, (60, 2))
        >>> regressor = KANFormulaRegressor().fit(x, x[:, 0] / (x[:, 0] + x[:, 1]))
        >>> regressor.formula_
        x1/(x1 + x2)
        >>> float(regressor.predict([[1.0, 3.0]])[0])
        0.25
    """

    @named_options
    def __init__(
        self,
        *,
        library: Sequence[str] | None = None,
        guesses: Any = None,
        templates: Any = None,
        constants: Any = None,
        loss: Any = None,
        keep: float | str | None = None,
        accuracy: float = 0.0,
        work: float = 5.0,
        networks: bool = False,
        attempts: int = 5,
        seconds: float | None = None,
        units: Any = None,
        n_jobs: int | None = None,
        random_state: Any = 0,
    ) -> None:
        self.library = library
        self.guesses = guesses
        self.templates = templates
        self.constants = constants
        self.loss = loss
        self.keep = keep
        self.accuracy = accuracy
        self.work = work
        self.networks = networks
        self.attempts = attempts
        self.seconds = seconds
        self.units = units
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(
        self, X: Any, y: Any = None, sample_weight: Any = None, *, target: Columns | None = None
    ) -> "KANFormulaRegressor":
        """Looks for formulas.

        Args:
            X: (samples, features) array or frame, finite; with `target` a frame or the path of a table as a whole.
            y: (samples,) targets.
            sample_weight: (samples,) non-negative weights.
            target: name of the column of targets in a table as a whole.

        Raises:
            DataError: columns hold no numbers, `target` is given beside y.
            ShapeError: there are several targets.
            UnknownNameError: a column, or a function of the library, is not there.
            TrainingError: a setting is out of range.
        """
        where = type(self).__name__
        X, y = samples_and_targets(X, y, target, where)
        outputs = names_of_targets(y, target)
        y = y if y is None else array_of(y, where)
        shape = np.shape(y)
        if len(shape) == 2 and shape[1] > 1:
            raise ShapeError(
                f"{where}: expected one target, got {shape[1]}. Wrap it: "
                "sklearn.multioutput.MultiOutputRegressor(KANFormulaRegressor())."
            )
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, ensure_min_samples=2)
        y, weight = np.asarray(y, np.float64)[:, None], None
        # A loss of its own is one mean over all rows, with each of them as often as it came.
        if self.loss is None or sample_weight is not None:
            X, y, weight = different_samples(X, y, sample_weight)
        inputs = tuple(getattr(self, "feature_names_in_", ())) or default_names("x", X.shape[1])
        self.discovery_ = discover(
            Dataset(to_tensor(X, where), to_tensor(y, where), inputs, outputs),
            library=self.library,
            guesses=self.guesses,
            templates=self.templates,
            constants=self.constants,
            loss=self.loss,
            keep=self.keep,
            accuracy=self.accuracy,
            work=self.work,
            networks=self.networks,
            attempts=self.attempts,
            seconds=self.seconds,
            units=self.units,
            n_jobs=self.n_jobs,
            sample_weight=weight,
            seed=drawn_seed(self.random_state, where),
        )
        return self

    def predict(self, X: Any, index: int | None = None) -> np.ndarray:
        """Returns the values of a formula, (samples,).

        Args:
            X: (samples, features); a frame may have other columns and another order.
            index: row of `equations_`, negative ones count from the end; None is the pick.

        Raises:
            DataError: there is no such row.
        """
        found = self._chosen(index)
        return found.predict(self._columns(X))[:, 0]
