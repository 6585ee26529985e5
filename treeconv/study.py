"""A model under study: brought to unit size, with samples, a partner for each, and the error it has.

Reference: A. Saltelli et al., "Variance based sensitivity analysis of model output", Comput. Phys. Commun. 181 (2010),
for samples that exchange inputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from treeconv.calibration import Evidence, Tolerance, judge, tolerance
from treeconv.derivatives import Array, Function
from treeconv.errors import TreeError
from treeconv.probes import Group, Probes, View, whole
from treeconv.subject import ErrorLike, Subject

Input = str | int
"""An input by name or column number."""


@dataclass(frozen=True)
class Study:
    """One output of a model, divided by `unit`, with the samples it is studied on.

    Attributes:
        function: The output.
        names: One name an input.
        x: Samples (batch, n).
        partners: Samples of the same shape that lend their inputs.
        tolerance: The error of the model.
        rng: Draws contexts.
        unit: The size of the output.
    """

    function: Function
    names: tuple[str, ...]
    x: Array
    partners: Array
    tolerance: Tolerance
    rng: np.random.Generator
    unit: float

    @classmethod
    def of(cls, subject: Subject, output: int = 0, n_samples: int = 1000) -> Study:
        """Prepares one output of a model.

        Args:
            subject: The model and its samples.
            output: Which output.
            n_samples: How many of the samples are used at most.

        Returns:
            The study.

        Example:
            >>> x = np.random.default_rng(0).normal(size=(20, 2))
            >>> Study.of(Subject.of(lambda x: 3 + x[:, 0], x)).tolerance.source
            'exact'
        """
        rng = np.random.default_rng(0)
        x, function = subject.x, subject.functions[output]
        unit = _size(function.value(x))
        function = function.scaled(unit)
        targets, error = subject.targets, subject.errors[output]
        allowed = tolerance(
            function,
            x,
            None if targets is None else targets[:, output] / unit,
            None if error is None else error / unit,
        )
        if len(x) > n_samples:
            x = x[rng.permutation(len(x))[:n_samples]]
        partners = np.roll(x[rng.permutation(len(x))], 1, axis=0)
        return cls(function, subject.names, x, partners, allowed, rng, unit)

    def whole(self, inputs: Group | None = None) -> View:
        """Returns the view of the model whose inputs outside some, by default none, do not matter."""
        everything = tuple(range(len(self.names)))
        return whole(self.function, len(everything), everything if inputs is None else inputs, self.x)

    def probes(self, view: View | None = None) -> Probes:
        """Returns the probes of a view, by default of the whole model, at the samples."""
        view = self.whole() if view is None else view
        columns = list(view.inputs)
        return Probes(view, self.x[:, columns], self.partners[:, columns])

    def positions(self, inputs: Input | Sequence[Input]) -> Group:
        """Returns the column numbers of inputs given by name or number.

        Raises:
            TreeError: If there is no such input.
        """
        names = self.names
        listed = list(inputs) if isinstance(inputs, Iterable) and not isinstance(inputs, str | Mapping) else [inputs]
        try:
            if any(isinstance(i, bool) for i in listed):
                raise ValueError("a truth value is no column")
            return tuple(names.index(i) if isinstance(i, str) else range(len(names))[i] for i in listed)
        except (ValueError, IndexError, TypeError):
            raise TreeError(
                f"treeconv: expected inputs among {', '.join(names)} or columns 0 to {len(names) - 1}, got {listed}. "
                "Use names of columns or their numbers."
            ) from None

    def relevance(self) -> list[Evidence]:
        """Tests each input: evidence `holds` when the model does not depend on it."""
        probes = self.probes()
        sensitivity = np.full(len(self.x), np.sqrt(2.0))
        changes = [probes.value() - probes.value(i) for i in range(len(self.names))]
        scores = [probes.score(change, sensitivity, probes.spread) for change in changes]
        limit = self.tolerance.of_values([s for s, _ in scores], probes.spread)
        return [judge(score, limit, scatter) for score, scatter in scores]


def ask(f: Any, x: Any, names: Sequence[str] | None, y: Any, error: ErrorLike) -> tuple[Study, Probes]:
    """Returns the study of a model of one output, and its probes over all inputs."""
    work = Study.of(Subject.of(f, x, names, y, error, one_output=True))
    return work, work.probes()


def _size(values: Array) -> float:
    """The size of an output: its spread, or its largest value where it hardly moves."""
    values = values[np.isfinite(values)]
    # the median, because the mean of values next to a pole is anything
    unit = float(np.median(np.abs(values - np.median(values)))) if values.size else 0.0
    return unit if unit > 0 else float(np.abs(values).max(initial=0.0)) or 1.0
