"""What a search for a law of two classes has found: the logit of one of them, probabilities, and labels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy import ndarray
from scipy.special import expit

from kan2.errors import DataError
from kan2.expressions.symbols import quoted
from kan2.laws.discovery import DIGITS, Discovery, Evidence
from kan2.symbolic.formula import round_floats


@dataclass(frozen=True, eq=False, repr=False)
class LabelLaw(Discovery):
    """A law of the logit, or the best approximation where none was found. Prints as a headline and the front.

    `formula` is the logit of the second class, the logarithm of its odds, in the columns; errors of the front are
    shares of the deviance that the base rate leaves. The network `model`, and calling the law, give the logit too.
    """

    @property
    def classes(self) -> ndarray:
        """The two labels, sorted."""
        return np.array(self.data.classes)

    def logit(self, new: Any) -> ndarray:
        """Returns the logarithm of the odds of the second class, (batch,); nan where the formula has no value.

        Args:
            new: samples: a table, whose columns are taken by name, or an array with the columns in order.

        Raises:
            UnknownNameError: a table has not all columns.
            ShapeError: an array has another number of columns.
        """
        return super().predict(new)[..., 0]

    def predict_proba(self, new: Any) -> ndarray:
        """Returns the probabilities of both classes, (batch, 2), in the order of `classes`; arguments as in `logit`."""
        found = self.logit(new)
        return np.stack([expit(-found), expit(found)], -1)

    def predict(self, new: Any) -> ndarray:
        """Returns the likelier label of each row, (batch,); arguments as in `logit`.

        Raises:
            UnknownNameError: a table has not all columns.
            ShapeError: an array has another number of columns.
            DataError: the formula has no value at a row.
        """
        return self.classes[self.codes(new)]

    def codes(self, new: Any) -> ndarray:
        """Returns the place of the likelier label in `classes`, 0 or 1, (batch,); see `predict`."""
        found = self.logit(new)
        if np.isnan(found).any():
            row = int(np.argwhere(np.isnan(found))[0][0])
            raise DataError(
                f"predict: expected columns at which {self.formula} has a value, got row {row} without one. "
                "predict_proba gives nan there."
            )
        return (found > 0).astype(int)

    @property
    def evidence(self) -> Evidence:
        """Sentences that say how the formula was found, how many labels it tells, and what is not sure."""
        X, labels = self.data.X.detach().cpu().numpy(), self.data.y[:, 0].detach().cpu().numpy() > 0
        found = self.logit(X)
        n, n_usual, n_right = (
            len(labels),
            max(int(labels.sum()), int((~labels).sum())),
            int(((found > 0) == labels).sum()),
        )
        told = [*self.row.evidence, f"{n_right} of {n} labels are the likelier one; {n_usual} are the commoner one"]
        if self.row.formulas[0].free_symbols and found[labels].min() > found[~labels].max():
            told.append(
                "the formula separates the classes: where the probability goes from 0 to 1 is known, how steeply is "
                "not, and its numbers are no larger than the rows can tell"
            )
        return Evidence((*told, *self.notes))

    @property
    def subject(self) -> str:
        """What the formula is of, in words."""
        return f"logit P({quoted(self.outputs[0])} = {self.classes[1]})"

    @property
    def headline(self) -> str:
        """One line: the law, or that none was found."""
        equation = f"{self.subject} {'=' if self.found else '~'} {round_floats(self.formula, DIGITS)}"
        return equation if self.found else f"no law found; the best approximation is {equation}"
