"""The network of a theory: parameters are features, unknown functions are splines on edges.

Every call of an unknown function is a numeric edge; calls of one function have the same curve. A layer has one number
of intervals, so that curves on different grids get one that holds the knots of all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import lcm

import numpy as np
import sympy
import torch

from kan2.core.bases.bspline import BSplineBasis
from kan2.core.edges import BasisEdges
from kan2.core.network import LayerValues
from kan2.core.spec import BasisSpec, NetworkSpec
from kan2.core.theory import Parameter, TheorySpec, Unknown
from kan2.multkan import MultKAN
from kanpiler.emit import Layers, emit_layers
from kanpiler.errors import CompileError
from kanpiler.normalize import normalize
from kanpiler.plan import PlanCall, build_plan
from kanpiler.schedule import schedule
from kanpiler.theory.fitting.curves import Curve
from kanpiler.theory.form import Form

MOST_INTERVALS, FINER = 720, 6
"""Intervals of an edge, at most, and how many times finer the edge of a derivative is."""
GRID = 5
"""Intervals before a fit."""


def describe(
    form: Form, columns: Sequence[str], parameters: Sequence[Parameter], functions: Sequence[Unknown]
) -> tuple[NetworkSpec, tuple[LayerValues, ...]]:
    """Returns the spec of the network of a theory, and the numbers of its layers.

    Args:
        form: what it says.
        columns: names of the inputs that the formulas read.
        parameters: named numbers.
        functions: the unknown functions.
    """
    orders = {one.k for one in functions}
    if len(orders) > 1:
        raise CompileError(
            f"compile: expected unknown functions of one order k, got {sorted(orders)}. Give all the same."
        )
    features = (*columns, *(one.name for one in parameters))
    layers = _layers(form, features, BasisSpec(grid=GRID, k=orders.pop() if orders else 3, base_fun="zero"))
    placed = tuple(replace(one, edges=tuple(layers.unknown.get(one.name, ()))) for one in functions)
    theory = TheorySpec(form.texts, tuple(columns), tuple(parameters), placed, form.implicit)
    labels = tuple(dict.fromkeys(one.per for one in parameters if one.per))
    inputs = (*columns, *(name for name in labels if name not in columns))
    return NetworkSpec(layers.specs, inputs, form.outputs, features, theory=theory), layers.values


def _layers(form: Form, features: Sequence[str], basis: BasisSpec | None) -> Layers:
    values = {call.value: sympy.Symbol(call.value.name, real=True) for call in form.calls}
    known = (*features, *(call.value.name for call in form.calls))
    calls = [
        PlanCall(values[call.value], call.function + "'" * call.order, normalize(call.argument, known, {}))
        for call in form.calls
    ]
    normal = [normalize(expression, known, {}) for expression in form.expressions]
    return emit_layers(schedule(build_plan(normal, features, calls)), False, basis)


def put_curves(
    model: MultKAN,
    derivatives: Mapping[str, Sequence[tuple[int, int, int]]],
    curves: Mapping[str, tuple[Curve, np.ndarray]],
) -> None:
    """Writes curves into the edges of a network, in place.

    Args:
        model: the network of the theory.
        derivatives: edges of derivatives of the functions, by name with primes.
        curves: by name of the function, its spline and its numbers.
    """
    theory = model.spec.theory
    assert theory is not None
    placed: dict[int, list[tuple[int, int, Curve, np.ndarray, int]]] = {}
    edges = {one.name: one.edges for one in theory.functions} | dict(derivatives)
    for name, where in edges.items():
        plain = name.rstrip("'")
        if plain in curves:
            for layer, target, source in where:
                placed.setdefault(layer, []).append((target, source, *curves[plain], len(name) - len(plain)))
    for index, found in placed.items():
        layer = model.layers[index]
        spec = layer.spec
        n = lcm(*(curve.grid for _, _, curve, _, _ in found))
        # A derivative has a jump of curvature at its knots, which finer ones follow.
        n *= FINER if any(order for *_, order in found) else 1
        grid = min(n, MOST_INTERVALS)
        k = spec.basis.k
        points = torch.linspace(-1.0, 1.0, grid + 1, dtype=torch.float64).repeat(spec.n_in, 1)
        for _, source, curve, _, _ in found:
            points[source] = torch.linspace(curve.low, curve.high, grid + 1, dtype=torch.float64)
        new = replace(spec, basis=replace(spec.basis, grid=grid))
        numeric = BasisEdges(new, BSplineBasis(points, k)).to(model.like)
        with torch.no_grad():
            for target, source, curve, numbers, order in found:
                if grid == curve.grid and order == 0:
                    weight = curve.coefficients(numbers)
                else:
                    weight = _carried(curve, numbers, order, grid)
                numeric.weight[target, source] = torch.from_numpy(np.ascontiguousarray(weight)).to(numeric.weight)
        layer.spec, layer.numeric = new, numeric
    model.spec = model.spec.replace_layers([layer.spec for layer in model.layers])


def _carried(curve: Curve, numbers: np.ndarray, order: int, grid: int) -> np.ndarray:
    # Exact where the finer grid has all knots of the coarser one, by interpolation otherwise.
    basis = BSplineBasis(torch.linspace(curve.low, curve.high, grid + 1, dtype=torch.float64)[None], curve.function.k)
    u = np.linspace(curve.low, curve.high, 8 * (grid + curve.function.k) + 1)
    B = basis(torch.from_numpy(u)[:, None])[:, 0].numpy()
    return np.linalg.lstsq(B, curve.values(u, order) @ numbers, rcond=None)[0]


def derivative_edges(
    form: Form, columns: Sequence[str], parameters: Sequence[Parameter]
) -> dict[str, list[tuple[int, int, int]]]:
    """Returns the edges of derivatives of unknown functions, which no spec lists."""
    if not any(call.order for call in form.calls):
        return {}
    layers = _layers(form, (*columns, *(one.name for one in parameters)), None)
    return {name: edges for name, edges in layers.unknown.items() if name.endswith("'")}
