"""Jacobians of residuals that are built from a network's values and derivatives at sample points.

A *probe* stands in for the network while a residual is computed. It evaluates `model(x)`, `jet`, `laplacian` and
`directional` as the network does, and keeps for every layer what its numbers act through: the sums of the subnodes and
the derivatives phi^(r) of its edges. One backward pass from a residual to these gives coefficients alpha_r for each
sample and edge, and the row of the Jacobian for a weight is sum over r of alpha_r B^(r)(h), with the r-th derivatives
of its basis function.

This holds where row i of a residual depends on row i of the evaluations only. `residuals` checks it, and falls back
on one backward pass a parameter where it does not hold.

Reference: Griewank, Walther, Evaluating Derivatives (2008), chapters 3 and 13.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2 import functions
from kan2.core import jets
from kan2.core.layer import KANLayer
from kan2.core.network import Network
from kan2.functions.derivatives import derivatives
from kan2.training.parameters import ParameterVector


class _Tap:
    """A layer that keeps what was asked of it.

    Attributes:
        layer: the layer.
        values: ((batch, source) points, r, phi^(r) of the edges (batch, target, source) or, for r = 0, their sums
            (batch, target)) of every evaluation.
    """

    def __init__(self, layer: KANLayer) -> None:
        self.layer = layer
        self.values: list[tuple[Tensor, int, Tensor]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)

    def subnodes(self, x: Tensor) -> Tensor:
        sums = self.layer.subnodes(x)
        self.values.append((x.detach(), 0, sums))
        return sums

    def edge_derivatives(self, x: Tensor, order: int) -> list[Tensor]:
        # Separate tensors, so that each is a point at which a backward pass can stop.
        found = [d.clone() for d in self.layer.edge_derivatives(x, order)]
        self.values += [(x.detach(), r, d) for r, d in enumerate(found, 1)]
        return found

    def source_derivative(self, x: Tensor, adjoint: Tensor, order: int) -> Tensor:
        return (adjoint[:, :, None] * self.edge_derivatives(x, order)[order - 1]).sum(1)

    def __call__(self, x: Tensor) -> Tensor:
        return self.layer.nodes(self.subnodes(x))


class Probe:
    """Evaluates a network like the network itself, and keeps what Jacobians need.

    Args:
        model: the network.
    """

    def __init__(self, model: Network) -> None:
        self.model = model
        self.layers = [_Tap(layer) for layer in model.layers]
        self._points: list[Tensor] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def __call__(self, x: Any) -> Float[Tensor, "*batch output"]:
        nodes = self.features(x)
        shape = nodes.shape[:-1]
        nodes = nodes.reshape(-1, nodes.shape[-1])
        for layer in self.layers:
            nodes = layer(nodes)
        return nodes.reshape(*shape, nodes.shape[-1])

    def features(self, x: Any) -> Float[Tensor, "*batch feature"]:
        """Returns what the first layer reads, as `MultKAN.features` does."""
        return self.model.features(self.prepare(x))

    def prepare(self, x: Any) -> Float[Tensor, "*batch input"]:
        """Returns the samples as the network takes them, and keeps them."""
        x = self.model.prepare(x)
        self._points.append(x.detach().reshape(-1, len(self.model.spec.inputs)))
        return x

    def points(self) -> Float[Tensor, "batch input"]:
        """Returns all points of all evaluations, each once."""
        none = self.model.like.new_zeros(0, len(self.model.spec.inputs))
        return torch.cat([none, *self._points]).unique(dim=0)

    def jet(self, x: Any, order: int = 2) -> jets.Jet:
        """Returns value and derivatives, as `MultKAN.jet` does."""
        return jets.jet(self, x, order)  # type: ignore[arg-type]

    def laplacian(self, x: Any) -> Float[Tensor, "batch output"]:
        """Returns the sum of second derivatives, as `MultKAN.laplacian` does."""
        return jets.laplacian(self, x)  # type: ignore[arg-type]

    def directional(self, x: Any, v: Any, order: int = 2) -> jets.Jet:
        """Returns derivatives along a direction, as `kan2.core.jets.directional` does."""
        return jets.directional(self, x, v, order)  # type: ignore[arg-type]

    def first_inputs(self) -> Float[Tensor, "batch feature"]:
        """Returns all points of all evaluations, as the first layer reads them."""
        points = [x for x, order, _ in self.layers[0].values if order == 0]
        return torch.cat(points) if points else self.model.like.new_zeros(0, self.model.spec.layers[0].n_in)

    def jacobian(self, vector: ParameterVector, residual: Float[Tensor, " batch"]) -> Tensor | None:
        """Returns the (batch, parameter) Jacobian of a residual whose rows depend on the same rows of the evaluations.

        Returns:
            the Jacobian; None where an evaluation with another number of rows takes part.
        """
        taken = [(i, *value) for i, tap in enumerate(self.layers) for value in tap.values if value[2].requires_grad]
        found = torch.autograd.grad(residual.sum(), [leaf for *_, leaf in taken], retain_graph=True, allow_unused=True)
        result = residual.new_zeros(residual.shape[0], vector.size)
        for (i, x, order, _), alpha in zip(taken, found):
            if alpha is not None:
                if x.shape[0] != residual.shape[0]:
                    return None
                _add_columns(result, vector, i, x, order, alpha)
        return result


def _add_columns(result: Tensor, vector: ParameterVector, i: int, x: Tensor, order: int, alpha: Tensor) -> None:
    layer: Any = vector.model.layers[i]
    alpha = alpha[..., None] if order == 0 else alpha
    for slot in vector.layer_slots(i):
        if slot.kind == "weight":
            with torch.no_grad():
                features, pairs = layer.numeric.features(x, order), vector.pairs[i]
                if pairs is None:
                    columns = result[:, slot.part].view(len(x), -1, *features.shape[1:])
                    columns.addcmul_(alpha[..., None], features[:, None])
                else:
                    target, source = pairs.T
                    chosen = alpha.expand(-1, -1, x.shape[1])[:, target, source, None] * features[:, source]
                    result[:, slot.part] += chosen.flatten(1)
        elif slot.kind == "term":
            result[:, slot.part] += _term_columns(layer.symbolic, x, order, alpha.expand(-1, -1, x.shape[1]))


def _term_columns(terms: Any, x: Tensor, order: int, alpha: Tensor) -> Float[Tensor, "batch free"]:
    numbers = torch.cat([terms.affine, terms.shape[:, None]], 1).detach()
    with torch.enable_grad():
        # One copy of the numbers a sample, so that one backward pass gives one derivative a sample.
        copies = numbers.expand(x.shape[0], *numbers.shape).clone().requires_grad_()
        a, b, c, d, p = copies.unbind(-1)
        u = a * x[:, terms.source] + b
        total = d.new_zeros(())
        for name, start, stop in terms.terms.blocks:
            index = terms.terms.order[start:stop]
            values = derivatives(functions.get(name), u[:, index], p[:, index], order)[order]
            values = c[:, index] * a[:, index] ** order * values + (d[:, index] if order == 0 else 0)
            total = total + (alpha[:, terms.target[index], terms.source[index]] * values).sum()
        (slope,) = torch.autograd.grad(total, copies)
    return slope[:, terms.free]


def dense_jacobian(
    vector: ParameterVector, residual: Float[Tensor, " row"], chunk: int = 64
) -> Float[Tensor, "row parameter"]:
    """Returns the Jacobian of any differentiable residual, one backward pass a parameter.

    The pullback w -> J'w is linear in w; differentiating it with respect to w gives the columns of J.
    """
    tensors = _parameters(vector)
    w = torch.zeros_like(residual, requires_grad=True)
    pulled = torch.autograd.grad(residual, tensors, w, create_graph=True, allow_unused=True)
    flat = _flatten(vector, pulled)
    columns = []
    if not flat.requires_grad:
        return residual.new_zeros(residual.shape[0], vector.size)
    for start in range(0, vector.size, chunk):
        units = torch.zeros(min(chunk, vector.size - start), vector.size, dtype=flat.dtype, device=flat.device)
        units[torch.arange(len(units)), start + torch.arange(len(units))] = 1
        (rows,) = torch.autograd.grad(flat, w, units, retain_graph=True, is_grads_batched=True)
        columns.append(rows)
    return torch.cat(columns).T.detach()


def pull(vector: ParameterVector, residual: Tensor, w: Tensor) -> Float[Tensor, " parameter"]:
    """Returns J'w of a residual by automatic differentiation."""
    found = torch.autograd.grad(residual, _parameters(vector), w, retain_graph=True, allow_unused=True)
    return _flatten(vector, found).detach()


def _parameters(vector: ParameterVector) -> list[Tensor]:
    result: list[Tensor] = []
    for slot in vector.slots:
        layer: Any = vector.model.layers[slot.layer]
        if slot.kind == "weight":
            result.append(layer.numeric.weight)
        elif slot.kind == "term":
            result += [layer.symbolic.affine, layer.symbolic.shape]
        else:
            result.append(getattr(layer, slot.kind))
    return result


def _flatten(vector: ParameterVector, gradients: tuple[Tensor | None, ...]) -> Tensor:
    # Gradients of the tensors of `_parameters` in the order of the vector.
    rest = iter([torch.zeros_like(t) if g is None else g for t, g in zip(_parameters(vector), gradients)])
    parts = []
    for slot in vector.slots:
        if slot.kind == "weight":
            parts.append(vector.gather_edges(slot, next(rest)).flatten())
        elif slot.kind == "term":
            affine, shape = next(rest), next(rest)
            layer: Any = vector.model.layers[slot.layer]
            parts.append(torch.cat([affine, shape[:, None]], 1)[layer.symbolic.free])
        else:
            parts.append(next(rest))
    return torch.cat(parts)
