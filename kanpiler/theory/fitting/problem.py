"""What a fit of a theory minimises, and what it has found: residuals of data, priors and conventions, and conditions.

Reference: Seber, Wild, Nonlinear Regression (1989), chapters 2 and 5.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from kanpiler.theory.fitting.gauges import Convention, null_space, scaled
from kanpiler.theory.fitting.model import Model, Rows
from kanpiler.theory.fitting.solve import Inequalities, Minimum, minimise, nearest

PINNED, HELD = 1e3, 1e6
"""Weights of conventions in units of the influence of what they fix: of functions, and of parameters that are held."""
SMOOTH = 1e-6
"""Weight of the second differences of a spline's coefficients, in units in which data have 1: it decides only what no
row decides."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A theory fitted to a table.

    Attributes:
        model: with the grids that were chosen.
        rows: the table.
        x: the numbers of the free parameters and of the curves.
        fixed: values of the fixed parameters.
        residuals: (row,) weighted, those of priors and conventions after those of the data.
        jacobian: of these.
        n_data: how many residuals are of the data.
        conventions: by which freedoms were fixed.
        noise: (batch, output) what a weight of 1 stands for: the standard deviation of each measured number.
        is_absolute: whether errors were given with the data.
        inequalities: of bounds and shapes.
        message: how the fit ended.
        steps: of the last minimisation.
    """

    model: Model
    rows: Rows
    x: Float[ndarray, " number"]
    fixed: Mapping[str, Sequence[float]]
    residuals: Float[ndarray, " row"]
    jacobian: Float[ndarray, "row number"]
    n_data: int
    conventions: tuple[Convention, ...]
    noise: Float[ndarray, "batch output"]
    is_absolute: bool
    inequalities: Inequalities
    message: str
    steps: int

    @property
    def sum_of_squares(self) -> float:
        """Of the weighted residuals of the data."""
        own = self.residuals[: self.n_data]
        return float(own @ own)

    @property
    def degrees_of_freedom(self) -> int:
        """Residuals of the data, less the numbers that they determine."""
        inactive = self.free_directions()
        J = self.jacobian @ inactive
        n = J.shape[1] - null_space(scaled(J)[0]).shape[1] - len(self.conventions) - self.n_priors
        return max(self.n_data - n, 0)

    @property
    def n_priors(self) -> int:
        """How many parameters have priors."""
        return sum(max(1, len(one.levels)) for one in self.model.parameters if one.prior and not one.fixed)

    @property
    def variance(self) -> float:
        """Of a weighted residual; 1 where errors were given."""
        if self.is_absolute:
            return 1.0
        dof = self.degrees_of_freedom
        return self.sum_of_squares / dof if dof else math.nan

    def free_directions(self) -> Float[ndarray, "number direction"]:
        """Returns an orthonormal basis of the directions along which no active bound or shape stands."""
        active = self.inequalities.G[self.inequalities.active(self.x, self.units())]
        return np.eye(len(self.x)) if not len(active) else null_space(active)

    def units(self) -> Float[ndarray, " number"]:
        """Returns for each number a change that moves the predictions by about one residual."""
        size = np.linalg.norm(self.jacobian, axis=0)
        cost = float(np.linalg.norm(self.residuals[: self.n_data]))
        return np.where(size > 0, cost / np.where(size > 0, size, 1.0), 0.0)

    def values(self) -> dict[str, ndarray]:
        """Returns the values of all parameters, one for each level, by name."""
        at, _, _ = self.model.slices()
        # Within their bounds, which steps keep to rounding.
        return {
            one.name: np.array(self.fixed[one.name], float) if one.fixed else np.clip(self.x[at[one.name]], *one.bounds)
            for one in self.model.parameters
        }


@dataclass(frozen=True, eq=False)
class Problem:
    """What is fitted.

    Attributes:
        model: with or without curves.
        rows: the table.
        fixed: values of fixed parameters.
        weights: (batch, output) of the residuals.
        spread: of the weighted targets, for conventions and smoothness.
        pins: conventions.
        prior_scale: what a deviation of one prior standard deviation weighs.
        directions: of monotone functions.
        roughness: by name of the function, the weight of its second differences.
        pin_weights: of the conventions.
    """

    model: Model
    rows: Rows
    fixed: Mapping[str, Sequence[float]]
    weights: Float[ndarray, "batch output"]
    spread: float
    pins: tuple[Convention, ...] = ()
    prior_scale: float = 1.0
    directions: Mapping[str, int] = field(default_factory=dict)
    roughness: Mapping[str, float] = field(default_factory=dict)
    pin_weights: tuple[float, ...] = ()

    def residuals(self, x: Float[ndarray, " number"], with_jacobian: bool) -> tuple[ndarray, ndarray | None]:
        """Returns weighted residuals of data, priors, conventions and smoothness, and their Jacobian."""
        state = self.model.at(x, self.fixed, self.rows)
        y, J = state.outputs(with_jacobian)
        r = [((y - self.rows.y) * self.weights).ravel()]
        rows = (
            []
            if J is None
            else [(J * self.weights[:, :, None]).reshape(-1 if J.size else J.shape[0] * J.shape[1], J.shape[-1])]
        )
        at, of_curves, size = self.model.slices()
        for one in self.model.parameters:
            if one.prior and not one.fixed:
                mean, deviation = one.prior
                part = at[one.name]
                r.append(self.prior_scale * (x[part] - mean) / deviation)
                rows.append(np.eye(size)[part] * self.prior_scale / deviation)
        strength = self.spread * len(self.rows) ** 0.5
        if self.pins:
            for pin, weight in zip(self.pins, self.pin_weights or (strength,) * len(self.pins)):
                row = np.zeros((1, size))
                if pin.kind == "value":
                    i = at[pin.name].start
                    r.append(np.array([(x[i] - pin.value) * weight]))
                    row[0, i] = weight
                else:
                    part = of_curves[pin.name]
                    value, own = pin.row(x[part], *(np.concatenate(found) for found in zip(*state.read[pin.name])))
                    r.append(np.array([value * weight]))
                    row[0, part] = own * weight
                rows.append(row)
        for name, weight in self.roughness.items():
            curve, part = self.model.curves[name], of_curves[name]
            own = np.diff(curve.Z, n=2, axis=0) * weight
            block = np.zeros((len(own), size))
            block[:, part] = own
            r.append(own @ x[part])
            rows.append(block)
        return np.concatenate(r), (np.concatenate(rows) if J is not None else None)

    def inequalities(self) -> Inequalities:
        """Returns the bounds of parameters and the conditions on the shapes of curves."""
        at, of_curves, size = self.model.slices()
        low, high = np.full(size, -np.inf), np.full(size, np.inf)
        for one in self.model.parameters:
            if not one.fixed:
                low[at[one.name]], high[at[one.name]] = one.bounds
        bounds = Inequalities.of_bounds(low, high)
        G, h = [bounds.G], [bounds.h]
        for name, curve in self.model.curves.items():
            own, least = curve.inequalities(self.directions.get(name, 0))
            block = np.zeros((len(own), size))
            block[:, of_curves[name]] = own
            G.append(block)
            h.append(least)
        return Inequalities(np.concatenate(G), np.concatenate(h))

    def solve(self, start: Float[ndarray, " number"], steps: int, deadline: float) -> "tuple[Problem, Minimum]":
        """Minimises from a start, moved to where the inequalities hold."""
        inequalities = self.inequalities()
        start = nearest(start, inequalities)
        own = self.smoothed(start) if self.model.curves else self
        return own, minimise(own.residuals, start, inequalities, steps=steps, deadline=deadline)

    def smoothed(self, x: Float[ndarray, " number"]) -> "Problem":
        """Returns the problem with the weights of second differences measured in influence on the predictions."""
        bare = replace(self, roughness={}, pins=(), pin_weights=())
        with np.errstate(all="ignore"):
            _, J = bare.residuals(x, True)
        assert J is not None
        _, at, _ = self.model.slices()
        found = {}
        for name, part in at.items():
            norms = np.linalg.norm(J[:, part], axis=0)
            size = float(np.sqrt(np.mean(norms**2)))
            found[name] = SMOOTH * (size if math.isfinite(size) and size > 0 else self.spread)
        return replace(self, roughness=found, pin_weights=self._pin_weights(x, J))

    def _pin_weights(self, x: Float[ndarray, " number"], J: Float[ndarray, "row number"]) -> tuple[float, ...]:
        # In the influence of what they pin, so that no unit of measure matters, and so strong that they hold.
        if not self.pins:
            return ()
        of_parameters, of_curves, _ = self.model.slices()
        state = self.model.at(x, self.fixed, self.rows)
        state.outputs(False)
        found = []
        for pin in self.pins:
            if pin.kind == "value":
                influence, row = float(np.linalg.norm(J[:, of_parameters[pin.name].start])), 1.0
            else:
                part = of_curves[pin.name]
                influence = float(np.linalg.norm(J[:, part]))
                own = pin.row(x[part], *(np.concatenate(read) for read in zip(*state.read[pin.name])))[1]
                row = float(np.linalg.norm(own))
            strength = HELD if pin.kind == "value" else PINNED
            found.append(
                strength * (influence if math.isfinite(influence) and influence > 0 else self.spread) / max(row, 1e-300)
            )
        return tuple(found)

    def with_model(self, **changes: Any) -> "Problem":
        """Returns the problem with another model."""
        return replace(self, model=replace(self.model, **changes))


def start_of(model: Model) -> Float[ndarray, " number"]:
    """Returns the starts of the free parameters, and zeros for the numbers of curves."""
    at, _, size = model.slices()
    x = np.zeros(size)
    for one in model.parameters:
        if not one.fixed:
            x[at[one.name]] = one.start
    return x
