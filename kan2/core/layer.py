"""One KAN layer: edges feed subnodes, subnodes feed nodes that add or multiply.

x -> subnodes s_t = sum over sources of phi[t, source](x[source]) -> affine -> nodes: the first `n_sum` subnodes as they
are, then products of consecutive subnodes -> affine. A `KANLayer(in_features, out_features)` without products takes
the place of `nn.Linear`.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 2.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import prod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from kan2 import options
from kan2.core.bases import Basis, data_ranges, make_basis, sample_quantiles
from kan2.core.bases.base import has_numbers, in_transform
from kan2.core.edges import BasisEdges, SymbolicEdges
from kan2.core.parts import apply_in_parts, in_parts, part_rows
from kan2.core.spec import BasisSpec, LayerSpec
from kan2.errors import DataError, ShapeError, SpecError, named_options

AFFINES = {"subnode_scale": 1.0, "subnode_bias": 0.0, "node_scale": 1.0, "node_bias": 0.0}
"""The affines of a layer, with what leaves everything as it is."""

STILL = 0.2
"""Share of its margin that a grid needs over samples, which do not move: 1.1 times the range, 1.1^4 times the error."""


class KANLayer(nn.Module):
    """A layer of learnable functions of one variable, summed and multiplied.

    Outside its grid a function goes on along its tangent: B-splines and Chebyshev polynomials do of themselves, the
    base function unless `outside` is "base". Fourier series repeat and Gaussians vanish there whatever `outside` says.

    Args:
        in_features: number of source nodes.
        out_features: number of addition nodes.
        arities: number of factors of each multiplication node; the layer gives out_features + len(arities) columns.
        grid: number of grid intervals, >= 1.
        k: spline order, 0 to 5.
        base_fun: "silu", "identity", "tanh" or "zero".
        basis: "bspline", "chebyshev", "fourier" or "rbf".
        grid_range: where the first grid lies, (low, high).
        noise_scale: size of the random part of the initial splines.
        outside: what the base function does outside the grid: "tangent" continues it along the tangent at the nearest
            end, "base" leaves it as it is.
        generator: source of the initial weights; None takes torch's default generator, as `nn.Linear` does.
        dtype: floating-point type; None takes torch's default.
        device: where the parameters live.

    Example:
        >>> layer = KANLayer(3, 2, generator=torch.Generator().manual_seed(0))
        >>> layer(torch.zeros(4, 5, 3)).shape
        torch.Size([4, 5, 2])
    """

    subnode_scale: nn.Parameter
    subnode_bias: nn.Parameter
    node_scale: nn.Parameter
    node_bias: nn.Parameter

    @named_options
    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        arities: Sequence[int] = (),
        grid: int = 5,
        k: int = 3,
        base_fun: str = "silu",
        basis: str = "bspline",
        grid_range: tuple[float, float] = (-1.0, 1.0),
        noise_scale: float = 0.1,
        outside: str = "tangent",
        generator: torch.Generator | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        where = "KANLayer"
        noise_scale = options.number(where, "noise_scale", noise_scale, 0, error=SpecError)
        grid_range = options.interval(where, "grid_range", grid_range, error=SpecError)
        dtype = None if dtype is None else options.dtype(where, dtype, error=SpecError)
        device = options.device(where, device, error=SpecError)
        if isinstance(arities, Tensor):
            arities = arities.tolist()
        arities = options.listed(
            where, "arities", arities, "numbers of factors", "(2, 3)", in_order=True, error=SpecError
        )
        for name, value in (("in_features", in_features), ("out_features", out_features)):
            low = 1 if name == "in_features" or not len(arities) else 0
            options.size(where, name, value, low, options.LARGEST_LAYER, error=SpecError)
        if generator is not None and not isinstance(generator, torch.Generator):
            raise SpecError(f"KANLayer: expected generator as a torch.Generator, got {generator!r}.")
        numeric = BasisSpec(kind=basis, grid=grid, k=k, base_fun=base_fun, outside=outside)
        spec = LayerSpec(in_features, out_features, tuple(arities), basis=numeric)
        self._build(spec, torch.empty(0, dtype=dtype, device=device), grid_range)
        self.reset_parameters(noise_scale, generator)

    @classmethod
    def from_spec(cls, spec: LayerSpec, like: Tensor, grid_range: tuple[float, float] = (-1.0, 1.0)) -> "KANLayer":
        """Builds a layer from its spec, with zero splines and identity affines, of the type and device of `like`."""
        layer = cls.__new__(cls)
        nn.Module.__init__(layer)
        layer._build(spec, like, grid_range)
        return layer

    def _build(self, spec: LayerSpec, like: Tensor, grid_range: tuple[float, float]) -> None:
        self.spec = spec
        self.numeric: BasisEdges | None = None
        self.symbolic: SymbolicEdges | None = None
        if spec.numeric:
            if spec.numeric == "all":
                options.size("KANLayer", "edges", spec.n_subnodes * spec.n_in, error=SpecError)
            low, high = (like.new_full((spec.n_in,), end) for end in grid_range)
            self.numeric = BasisEdges(spec, make_basis(spec.basis, low, high))
        if spec.terms:
            self.symbolic = SymbolicEdges(spec.terms, like)
        for name, n in (("subnode", spec.n_subnodes), ("node", spec.n_out)):
            for part, value in (("scale", 1.0), ("bias", 0.0)):
                parameter = nn.Parameter(like.new_full((n,), value), requires_grad=spec.affine_trainable)
                self.register_parameter(f"{name}_{part}", parameter)

    def reset_parameters(self, noise_scale: float = 0.1, generator: torch.Generator | None = None) -> None:
        """Draws new numeric activations: a random multiple of the base function plus a small random spline."""
        if self.numeric is None or not has_numbers(self.numeric.weight):
            return
        weight = self.numeric.weight
        start = int(self.numeric.has_base)
        with torch.no_grad():
            # Drawn on the CPU in float64, so that a seed means the same network for every type and device; a generator
            # of another device draws there.
            place = "cpu" if generator is None else generator.device
            noise = torch.randn(weight.shape, generator=generator, dtype=torch.float64, device=place)
            noise[..., :start] /= self.spec.n_in**0.5
            noise[..., start:] *= noise_scale / self.spec.n_in**0.5
            weight.copy_(noise)

    @property
    def in_features(self) -> int:
        """Number of source nodes."""
        return self.spec.n_in

    @property
    def out_features(self) -> int:
        """Number of nodes the layer gives."""
        return self.spec.n_out

    def extra_repr(self) -> str:
        return f"{self.spec.n_in} -> {self.spec.n_sum} sums, products {list(self.spec.arities)}"

    def subnodes(self, x: Float[Tensor, "batch source"]) -> Float[Tensor, "batch subnode"]:
        """Returns the sums over incoming edges, before the affine of the subnodes."""
        if self.numeric is None and self.symbolic is None:
            return x.new_zeros(x.shape[0], self.spec.n_subnodes)
        if self.symbolic is None:
            return self.numeric(x)  # type: ignore[misc]
        terms = self.symbolic(x, self.spec.n_subnodes)
        return terms if self.numeric is None else self.numeric(x) + terms

    def nodes(self, subnodes: Float[Tensor, "batch subnode"], **affines: Tensor) -> Float[Tensor, "batch node"]:
        """Returns the nodes for given subnodes: affine, products, affine.

        Args:
            subnodes: sums over incoming edges.
            affines: tensors to use in place of the parameters of the same names.
        """
        own: dict[str, Tensor] = {name: getattr(self, name) for name in AFFINES}
        subnode_scale, subnode_bias, node_scale, node_bias = (own | affines).values()
        if not self.spec.arities:
            # Sums only: the two affines are one.
            bias = torch.addcmul(node_bias, subnode_bias, node_scale)
            return _like(subnodes, torch.addcmul(bias, subnodes, subnode_scale * node_scale))
        values = torch.addcmul(subnode_bias, subnodes, subnode_scale)
        n_sum = self.spec.n_sum
        factors = values[:, n_sum:].split(self.spec.arities, -1)
        products = [prod(f.unbind(-1)[1:], start=f[:, 0]) for f in factors]
        values = torch.cat([values[:, :n_sum], torch.stack(products, -1)], -1)
        return _like(subnodes, torch.addcmul(node_bias, values, node_scale))

    def only_sums(self) -> bool:
        """Whether the nodes are known to be the subnodes as they are, so that `nodes` need not be called."""
        # Looked up by value, which needs no bookkeeping; elsewhere than on the CPU a look costs more than the affine.
        if self.spec.arities or self.spec.affine_trainable or torch.compiler.is_compiling() or in_transform():
            return False
        # Parameters and nothing else: elsewhere tensors may stand in their place.
        given = self._parameters
        for name in AFFINES:
            parameter = given.get(name)
            if type(parameter) is not nn.Parameter or parameter.requires_grad or not parameter.is_cpu:
                return False
            one, zero = _identity(self.spec.n_sum, parameter.dtype)
            if not torch.equal(parameter, one if AFFINES[name] else zero):
                return False
        return True

    def forward(self, x: Float[Tensor, "*batch source"]) -> Float[Tensor, "*batch node"]:
        if x.shape[-1] != self.spec.n_in:
            raise ShapeError(
                f"KANLayer: expected {self.spec.n_in} columns in the last axis, got shape {tuple(x.shape)}."
            )
        rows = part_rows(self, x, self.spec.row_width)
        return in_parts(self._evaluate, x, rows) if rows else self._evaluate(x)

    def _evaluate(self, x: Float[Tensor, "*batch source"]) -> Float[Tensor, "*batch node"]:
        if x.dtype != self.node_scale.dtype:
            x = x.to(self.node_scale.dtype)
        subnodes = self.subnodes(x if x.ndim == 2 else x.reshape(-1, self.spec.n_in))
        nodes = subnodes if self.only_sums() else self.nodes(subnodes)
        return nodes if x.ndim == 2 else nodes.reshape(*x.shape[:-1], self.spec.n_out)

    def edge_values(self, x: Float[Tensor, "batch source"]) -> Float[Tensor, "batch target source"]:
        """Returns what every edge contributes to its subnode."""
        total = x.new_zeros(x.shape[0], self.spec.n_subnodes, self.spec.n_in)
        if self.numeric is not None:
            total = total + self.numeric.edge_values(x)
        if self.symbolic is not None:
            total = total + self.symbolic.edge_values(x, self.spec.n_subnodes)
        return total

    def edge_derivatives(
        self, x: Float[Tensor, "batch source"], order: int
    ) -> list[Float[Tensor, "batch target source"]]:
        """Returns the derivatives of order 1 to `order` of every edge with respect to its source."""
        found = [x.new_zeros(x.shape[0], self.spec.n_subnodes, self.spec.n_in)] * order
        if order and self.numeric is not None:
            found = self.numeric.edge_derivatives(x, order)
        if order and self.symbolic is not None:
            terms = self.symbolic.edge_derivatives(x, order, self.spec.n_subnodes)
            found = [a + b for a, b in zip(found, terms)]
        return found

    def source_derivative(
        self, x: Float[Tensor, "batch source"], adjoint: Float[Tensor, "batch subnode"], order: int
    ) -> Float[Tensor, "batch source"]:
        """Returns sum over targets of adjoint_t times the order-th derivative of edge (t, s), without edge arrays."""
        parts = [e.source_derivative(x, adjoint, order) for e in (self.numeric, self.symbolic) if e is not None]
        return sum(parts[1:], start=parts[0]) if parts else torch.zeros_like(x)

    def set_home_(self, low: Float[Tensor, " source"], high: Float[Tensor, " source"]) -> None:
        """Sets the range of every source that the base function sees as -1 to 1, in place.

        The weights stay, so the functions change: this is meant for layers that have not been trained. Moving a grid
        leaves homes alone.

        Args:
            low: (source,) left ends.
            high: (source,) right ends, larger than low.

        Raises:
            SpecError: not one finite low < high for each source.

        Example:
            >>> layer = KANLayer(1, 1, grid_range=(0.0, 1e11), generator=torch.Generator().manual_seed(0))
            >>> layer.set_home_(torch.zeros(1), torch.full((1,), 1e11))
            >>> layer.numeric.basis.coordinate()(torch.tensor([[0.0], [1e11]])).tolist()
            [[-1.0], [1.0]]
        """
        if self.numeric is not None:
            self.numeric.basis.set_home_(low, high)

    def place_(self, x: Float[Tensor, "batch source"]) -> None:
        """Moves grids and homes to samples, in place; the weights stay, so that the functions move along.

        Like `set_home_`, this is meant for layers that have not been trained.

        Args:
            x: samples of the sources.

        Example:
            >>> layer = KANLayer(1, 1, generator=torch.Generator().manual_seed(0))
            >>> x = torch.linspace(-1, 1, 5)[:, None]
            >>> layer.place_(x)
            >>> before = layer(x)
            >>> layer.place_(1e9 * x)
            >>> torch.allclose(layer(1e9 * x), before)
            True
        """
        if self.numeric is not None:
            home = torch.stack(data_ranges(x.detach(), 0.0), 1)
            self.numeric.basis = _basis_over(self.spec.basis, x, home, STILL)

    def set_basis_(self, basis: BasisSpec, x: Float[Tensor, "batch source"] | None = None) -> None:
        """Moves the numeric activations to another basis in place, keeping them as they are as nearly as possible.

        Args:
            basis: the new basis.
            x: samples of the sources that the grid must cover; None keeps the present range, and then a grid with
                the old points among its own represents the activations exactly.
        """
        spec = replace(self.spec, basis=basis)
        if self.numeric is not None:
            if x is None:
                old = self.numeric.basis
                same_kind = basis.kind == self.spec.basis.kind
                new = (
                    old.refined(basis.grid, basis.k)
                    if same_kind
                    else make_basis(basis, old.grid[:, 0], old.grid[:, -1], home=old.home)
                )
            else:
                new = _basis_over(basis, x, self.numeric.basis.home)
            self.numeric = self.numeric.with_basis(spec, new)
        self.spec = spec


def _basis_over(
    basis: BasisSpec, x: Float[Tensor, "batch source"], home: Float[Tensor, "source 2"], share: float = 1.0
) -> Basis:
    x = x.detach()
    low, high = data_ranges(x, share * basis.margin, basis.grid)
    quantiles = sample_quantiles(x, basis.grid) if basis.grid_eps < 1 else None
    return make_basis(basis, low, high, quantiles, home)


@named_options
def chunked(module: nn.Module, x: Float[Tensor, "batch *rest"], rows: int = 16_384) -> Float[Tensor, "batch *out"]:
    """Applies a module to a long batch some rows at a time, so that memory does not grow with the batch.

    What a chunk computed on the way is forgotten and computed again in the backward pass; the result and all gradients
    are the same. Works for a `KANLayer`, a `MultKAN` and every other module that treats rows separately.

    Args:
        module: what is applied.
        x: any number of rows; they lie along the first axis.
        rows: how many rows are held at once, >= 1.

    Raises:
        ShapeError: rows is smaller than one, or x has no rows.
        DataError: the module cannot be called.

    Example:
        >>> layer = KANLayer(3, 2, generator=torch.Generator().manual_seed(0))
        >>> x = torch.zeros(1000, 3)
        >>> torch.equal(chunked(layer, x, rows=64), layer(x))
        True
    """
    if not options.is_whole(rows, 1):
        raise ShapeError(f"chunked: expected at least one row at a time, got rows={rows!r}.")
    if not callable(module):
        raise DataError(f"chunked: expected a module, such as a MultKAN, got {module!r:.80}.")
    if not isinstance(x, Tensor | np.ndarray) or x.ndim == 0:
        raise ShapeError(f"chunked: expected x as a tensor of rows, got {type(x).__name__}. Pass (batch, ...) numbers.")
    return module(x) if x.shape[0] <= rows else apply_in_parts(module, x, rows)


@lru_cache(maxsize=64)
def _identity(n: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return torch.ones(n, dtype=dtype, device="cpu"), torch.zeros(n, dtype=dtype, device="cpu")


def _like(subnodes: Tensor, nodes: Tensor) -> Tensor:
    # Under autocast affines are computed in float32; what comes out has the type of the sums, with or without affines.
    is_cast = nodes.dtype != subnodes.dtype and torch.is_autocast_enabled(nodes.device.type)
    return nodes.to(subnodes.dtype) if is_cast else nodes
