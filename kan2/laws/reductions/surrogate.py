"""A network that stands for a table: how well it can be told from its columns, and how it changes with them.

A surrogate is trained in *coordinates*: columns as they are or as logarithms, the target as it is, as the logarithm of
its magnitude, or, where it changes sign over decades, as an inverse hyperbolic sine. With a *bottleneck*, it first
takes a few linear combinations of the columns: of logarithms these are products of powers, so that the narrowest
bottleneck that does is the number of dimensionless groups. Its error is measured on rows kept aside.
"""

import warnings
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray

from kan2.core.spec import BasisSpec, LayerSpec, NetworkSpec, SymbolicTerm
from kan2.errors import Kan2Error
from kan2.laws.budget import spend
from kan2.laws.column import Table
from kan2.multkan import MultKAN

FEWEST = 12  # rows below which none is trained
HELD = 5  # every fifth row is kept aside
HIDDEN, HIDDEN_OF_FEW, MANY_ROWS = 7, 5, 800
GRID, STEPS = 5, 60
CHEAPER = 8  # a step solves normal equations of few non-zeros: so much less than a decomposition
WIDE = 1.5  # ratio of largest to smallest number above which a logarithm is another coordinate
TINY = 1e-300


@dataclass(frozen=True)
class Coordinates:
    """How a surrogate sees a table.

    Attributes:
        logarithms: whether columns of one sign that span a range are taken as logarithms.
        target: "y", "log", "asinh", or "loglog".
        bottleneck: number of linear combinations; None for a network of the columns.
    """

    logarithms: bool
    target: str
    bottleneck: int | None = None

    def __str__(self) -> str:
        columns = "logarithms of the columns" if self.logarithms else "the columns"
        seen = {"y": "the target", "log": "its logarithm", "asinh": "asinh of it", "loglog": "its scaled logarithm"}
        combined = f"{self.bottleneck} combinations of " if self.bottleneck else ""
        return f"{seen[self.target]} as a function of {combined}{columns}"


class Surrogate:
    """A trained network for a table in given coordinates.

    Attributes:
        error: median relative error of the target on rows kept aside.
    """

    def __init__(self, table: Table, coordinates: Coordinates, seed: int) -> None:
        self.table, self.coordinates = table, coordinates
        self.in_logarithms = [
            coordinates.logarithms and c.sign != 0 and c.largest > WIDE * float(np.abs(c.values).min())
            for c in table.columns
        ]
        y = np.abs(table.y)
        self._middle = float(np.median(y)) or float(y.max()) or 1.0
        if coordinates.target == "loglog":
            logs = np.log(y)
            self._log_middle = float(np.median(logs))
            self._log_scale = float(np.median(np.abs(logs - self._log_middle))) or 1.0
        Z, z = self._inputs(), self._seen(table.y)
        self._mean, self._spread = Z.mean(0), Z.std(0) + TINY
        self._z_mean, self._z_spread = float(z.mean()), float(z.std()) + TINY
        self.Z = torch.from_numpy((Z - self._mean) / self._spread)
        wanted = torch.from_numpy((z - self._z_mean) / self._z_spread)
        order = np.random.default_rng(seed).permutation(len(table))
        held, kept = order[: len(order) // HELD], order[len(order) // HELD :]
        self.network = _network(table.n_columns, coordinates.bottleneck, len(table), seed)
        spend(len(table), self.network.n_parameters, STEPS // CHEAPER)
        with warnings.catch_warnings():
            # Of grids and samples that the user has not chosen.
            warnings.simplefilter("ignore")
            self.network.fit((self.Z[kept], wanted[kept, None]), steps=STEPS)
        with torch.no_grad():
            residual = (self.network(self.Z[held])[:, 0] - wanted[held]).numpy()
        true = self._target(z[held])
        off = np.abs(self._target(z[held] + residual * self._z_spread) - true)
        self.error = float(np.median(off / np.maximum(np.abs(true), 1e-3 * np.median(np.abs(true)) + TINY)))

    def _inputs(self) -> Float[ndarray, "sample column"]:
        X = self.table.X
        return np.column_stack(
            [np.log(np.abs(X[:, j])) if log else X[:, j] for j, log in enumerate(self.in_logarithms)]
        )

    def _seen(self, y: ndarray) -> ndarray:
        match self.coordinates.target:
            case "log":
                return np.log(np.abs(y))
            case "asinh":
                return np.arcsinh(y / self._middle)
            case "loglog":
                return np.arcsinh((np.log(np.abs(y)) - self._log_middle) / self._log_scale)
        return y

    def _target(self, z: ndarray) -> ndarray:
        with np.errstate(all="ignore"):
            match self.coordinates.target:
                case "log":
                    return np.exp(z)
                case "asinh":
                    return self._middle * np.sinh(z)
                case "loglog":
                    return np.exp(self._log_middle + self._log_scale * np.sinh(z))
        return z

    @cached_property
    def gradient(self) -> Float[ndarray, "sample column"]:
        """The derivatives of the target by the columns, at all rows."""
        Z = self.Z.clone().requires_grad_(True)
        (G,) = torch.autograd.grad(self.network(Z).sum(), Z)
        G, y = G.numpy() * self._z_spread / self._spread, self.table.y
        for j, log in enumerate(self.in_logarithms):
            if log:
                G[:, j] /= self.table.X[:, j]
        match self.coordinates.target:
            case "log":
                G *= y[:, None]
            case "asinh":
                G *= np.hypot(self._middle, y)[:, None]
            case "loglog":
                u = (np.log(np.abs(y)) - self._log_middle) / self._log_scale
                G *= (self._log_scale * np.hypot(1, u) * y)[:, None]
        return G


def _network(n: int, bottleneck: int | None, n_rows: int, seed: int) -> MultKAN:
    if bottleneck is None:
        return MultKAN([n, min(2 * n + 1, HIDDEN if n_rows >= MANY_ROWS else HIDDEN_OF_FEW), 1], grid=GRID, seed=seed)
    basis, hidden = BasisSpec(grid=GRID, k=3), HIDDEN_OF_FEW if bottleneck < 3 else HIDDEN

    def dense(sources: int, targets: int) -> LayerSpec:
        return LayerSpec(sources, targets, (), tuple((i, j) for i in range(targets) for j in range(sources)), (), basis)

    terms = tuple(SymbolicTerm(i, j, "x", free="c") for i in range(bottleneck) for j in range(n))
    combinations = LayerSpec(n, bottleneck, (), (), terms, basis)
    model = MultKAN.from_spec(NetworkSpec((combinations, dense(bottleneck, hidden), dense(hidden, 1))))
    model.reset_parameters(seed=seed)
    return model


def surrogate(table: Table, coordinates: Coordinates, seed: int) -> Surrogate | None:
    """Returns a trained surrogate, or None where none can be trained."""
    if len(table) < FEWEST:
        return None
    try:
        found = Surrogate(table, coordinates, seed)
    except Kan2Error:
        return None
    return found if np.isfinite(found.error) else None
