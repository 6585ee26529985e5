"""What a search for a law has found: the front, and of its pick the formula, the network, the tree and the evidence."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from kan2.core.data import Dataset
from kan2.core.tensors import missing_column, open_table, to_tensor
from kan2.discovery.symbolic_report import SymbolicReport
from kan2.errors import DataError, ShapeError, named_options
from kan2.expressions.evaluate import evaluate
from kan2.expressions.symbols import quoted, symbol, with_backquotes
from kan2.laws.front.compiled import compiled, names_of_targets
from kan2.laws.front.front import Front, Row
from kan2.laws.front.polish import FittedNumber, values
from kan2.laws.front.stability import selection_frequencies
from kan2.laws.samples import Samples
from kan2.multkan import MultKAN
from kan2.symbolic.formula import round_floats
from kan2.tables.frames import matrix, named_columns
from kan2.units.dimensions import Constant

DIGITS = 6  # of the headline


class Evidence(tuple[str, ...]):
    """Sentences; prints as a numbered list."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(f"{i}. {sentence}" for i, sentence in enumerate(self, 1))


@dataclass(frozen=True, eq=False, repr=False)
class Discovery:
    """A law, or the best approximation where none was found. Prints as a headline and the front.

    The verbs of a network, such as `prune`, `plot_edge` and `save`, and its attributes are those of `model`.

    Attributes:
        front: formulas, the simplest first; one is the pick.
        data: the table.
        report: of the search; `report.pareto` holds networks, `report.out_of_time` and `report.interrupted` how it
            ended.
        network: the network that was trained, where one was, maybe with splines.
        parts: of several targets that were searched one by one, what was found for each, with a front of its own.
        notes: sentences about what was asked for and not found.
        units: of columns and target, by name, where they were given.
        samples: the rows as formulas are measured on them, where there is one target.
    """

    front: Front
    data: Dataset
    report: SymbolicReport = field(repr=False)
    network: MultKAN | None = field(default=None, repr=False)
    parts: "tuple[Discovery, ...]" = field(default=(), repr=False)
    notes: tuple[str, ...] = field(default=(), repr=False)

    @property
    def laws(self) -> "tuple[Discovery, ...]":
        """The law of each target; of one target this law alone.

        `front` is then made of theirs: the simplest formula of each, and step by step the better ones.
        """
        return self.parts or (self,)

    units: Mapping[str, str] = field(default_factory=dict, repr=False)
    samples: Samples | None = field(default=None, repr=False)

    @property
    def row(self) -> Row:
        """The picked row of the front."""
        return self.front.pick

    @property
    def formula(self) -> Any:
        """The formula in the names of the columns, a SymPy expression; for several targets a list."""
        return self.row.formula

    @property
    def found(self) -> bool:
        """Whether this is a law: nothing but rounding or noise is left, and there are rows enough for its numbers."""
        return self.row.is_law

    @property
    def evidence(self) -> Evidence:
        """Sentences that say how the formula was found, and what was asked for and not found."""
        return Evidence((*self.row.evidence, *self.notes))

    @property
    def uncertainties(self) -> tuple[FittedNumber, ...]:
        """The fitted numbers of the formula with their standard errors."""
        return self.row.numbers

    @property
    def constants(self) -> tuple[Constant, ...]:
        """The numbers of the formula that have a unit, where units were given."""
        return self.row.constants

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the targets."""
        return names_of_targets(self.data)

    def pick(self, index: int) -> "Discovery":
        """Returns the same front with another row as its pick; formula, model and predictions are those of that row.

        Args:
            index: of the row, from 0; negative ones count from the end.

        Raises:
            DataError: there is no such row.
        """
        n = len(self.front)
        if isinstance(index, bool) or not isinstance(index, int | np.integer) or not -n <= index < n:
            raise DataError(f"pick: expected the number of a row of the front, 0 to {n - 1}, got {index!r}.")
        if index % n == self.front.picked:
            return self
        return replace(self, front=self.front.with_pick(int(index)))

    def selection_frequency(self, resamples: int = 50, seed: int = 0) -> Float[ndarray, "formula"]:
        """Returns how often each formula of the front is picked from half of the rows, shares that add up to 1.

        Each time half of the rows are drawn, the numbers of all formulas are fitted to them, and that with the shortest
        description is picked. No new formulas are looked for.

        Args:
            resamples: how many halves are drawn, >= 1.
            seed: of the draws, >= 0.

        Raises:
            DataError: there are several targets, or no such number of halves.

        Example:
            >>> import kan2
            >>> x = np.linspace(1, 2, 40)
            >>> law = kan2.discover((x[:, None], 3 * x**2), networks=False)
            >>> float(law.selection_frequency(10)[law.front.picked])
            1.0
        """
        for name, value, least in (("resamples", resamples, 1), ("seed", seed, 0)):
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
                raise DataError(f"selection_frequency: expected {name} as a whole number >= {least}, got {value!r}.")
        if self.samples is None:
            targets = ", ".join(self.outputs)
            raise DataError(
                f"selection_frequency: expected a law of one target, got {len(self.outputs)} ({targets}). Call it for "
                "each of `law.laws`, or discover each target for itself."
            )
        return selection_frequencies(self.front, self.samples, int(resamples), int(seed))

    def extrapolates(self, new: Any) -> Bool[ndarray, "*batch"]:
        """Returns for each sample whether some column is outside the range that it has in the table.

        Args:
            new: samples, as for `predict`.

        Raises:
            UnknownNameError, ShapeError: see `predict`.

        Example:
            >>> import kan2
            >>> x = np.linspace(1, 2, 40)
            >>> law = kan2.discover({"x": x, "y": 3 * x**2}, target="y", networks=False)
            >>> law.extrapolates({"x": [1.5, 2.5]})
            array([False,  True])
        """
        X = self._columns(new)
        rows = self.data.X.detach().double().cpu().numpy()
        return np.any((rows.min(0) > X) | (rows.max(0) < X), axis=-1)

    @cached_property
    def model(self) -> MultKAN:
        """The network of the formula, with the data attached.

        Raises:
            FormulaError: no network computes the formula.
        """
        model = self.row.network
        model = compiled(self.row.formulas, self.data) if model is None else model
        model.data, model.report = model.data or self.data, self.report
        return model

    @cached_property
    def tree(self) -> Any:
        """The tree of the formula's structure, a `networkx.DiGraph`; for several targets a list. See `treeconv`."""
        import treeconv

        x = self.data.X.double()

        def function(x: torch.Tensor) -> torch.Tensor:
            columns = dict(zip(self.data.inputs, x.unbind(-1)))
            found = [evaluate(formula, columns).expand(x.shape[:-1]) for formula in self.row.formulas]
            return torch.stack(found, -1)

        return treeconv.convert(function, x, names=self.data.inputs)

    def predict(self, new: Any) -> Any:
        """Evaluates the formula in float64 and returns a NumPy array (batch, target).

        Args:
            new: samples: a table, whose columns are taken by name, or an array with the columns in order.

        Raises:
            UnknownNameError: a table has not all columns.
            ShapeError: an array has another number of columns.
        """
        X = self._columns(new)
        rows, symbols = X.reshape(-1, X.shape[-1]), tuple(symbol(name) for name in self.data.inputs)
        found = [values(formula, symbols, rows) for formula in self.row.formulas]
        return np.stack(found, -1).reshape(*X.shape[:-1], len(found))

    def __call__(self, x: Any) -> torch.Tensor:
        """Evaluates the network of the formula, see `MultKAN`."""
        return self.model(x)

    def _columns(self, new: Any) -> ndarray:
        names = self.data.inputs
        if isinstance(new, Dataset):
            new = new.X
        if not isinstance(new, torch.Tensor):
            new = open_table(new)
            columns = named_columns(new)
            if columns is not None:
                for name in names:
                    if name not in columns:
                        raise missing_column("predict", name, names, tuple(columns))
                return np.asarray(matrix(columns, names, "predict"), float)
        X = to_tensor(new, "predict").detach().double().cpu().numpy()
        if X.ndim == 0 or X.shape[-1] != len(names):
            hint = " One variable is a column: reshape(-1, 1)." if len(names) == 1 else ""
            raise ShapeError(
                f"predict: expected {len(names)} columns ({', '.join(names)}) in the last axis, got shape {X.shape}."
                + hint
            )
        return X

    @named_options
    def symbolic_formula(self, *, digits: int | None = None, simplify: bool = False, check: bool = True) -> Any:
        """Returns the formula, as `MultKAN.symbolic_formula` does.

        Args:
            digits: round floats to this many significant digits; None prints them in full.
            simplify: let SymPy simplify the result.
            check: formulas of laws are checked on their rows already; taken for the sake of networks.
        """
        found = [self._written(formula, digits, simplify) for formula in self.row.formulas]
        return found[0] if len(found) == 1 else found

    @named_options
    def latex(self, *, digits: int | None = None, simplify: bool = False, check: bool = True) -> Any:
        """Returns the formula as LaTeX; for several targets a list. Options as in `symbolic_formula`."""
        found = [sympy.latex(self._written(formula, digits, simplify)) for formula in self.row.formulas]
        return found[0] if len(found) == 1 else found

    def _written(self, formula: sympy.Expr, digits: int | None, simplify: bool) -> sympy.Expr:
        formula = sympy.simplify(formula) if simplify else formula
        return with_backquotes(formula if digits is None else round_floats(formula, digits))

    @property
    def headline(self) -> str:
        """One line: the law, or that none was found."""
        texts = [round_floats(formula, DIGITS) for formula in self.row.formulas]
        sign = "=" if self.found else "~"
        told = ", ".join(f"{quoted(name)} {sign} {text}" for name, text in zip(self.outputs, texts))
        return told if self.found else f"no law found; the best approximation is {told}"

    def __str__(self) -> str:
        return "\n".join([self.headline, *map(str, self.constants), str(self.front)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        from html import escape

        told = "<br>".join(escape(str(line)) for line in (self.headline, *self.constants))
        return f"<p>{told}</p>{self.front._repr_html_()}"

    def _repr_latex_(self) -> str:
        found = self.latex(digits=DIGITS)
        return f"${found if isinstance(found, str) else ', '.join(found)}$"

    def __getattr__(self, name: str) -> Any:
        # Copies and pickles ask for names before there is anything in the object.
        if name.startswith("_") or "front" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}.", name=name, obj=self)
        return getattr(self.model, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *(name for name in dir(MultKAN) if not name.startswith("_"))})

    def __getstate__(self) -> dict[str, Any]:
        # What can be made again is left out.
        return {name: value for name, value in self.__dict__.items() if name not in ("model", "tree")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
