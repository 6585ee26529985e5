"""The network: a spec and the layers that hold its numbers. It evaluates, and knows its derivatives.

A `Network` reads *features*, the selected inputs and auxiliary variables, and passes them through its `KANLayer`s.
Nothing here trains, edits or draws: those are functions of the rooms above, which `kan2.multkan.MultKAN` offers as
methods. What makes a network from a network builds `type(model)`, so that a `MultKAN` stays one.

Reference: Liu et al., KAN (arXiv 2404.19756); KAN 2.0 (arXiv 2408.10205).
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from kan2.core.building import LayerValues as LayerValues
from kan2.core.building import assign, check_spec, members
from kan2.core.data import Columns, Dataset, as_dataset, finite_rows, read_dataset
from kan2.core.features import compute_features, constant_features, starting_constants
from kan2.core.jets import Jet, jet, laplacian
from kan2.core.layer import KANLayer
from kan2.core.order import as_network
from kan2.core.parts import in_parts, part_rows
from kan2.core.spec import NetworkSpec
from kan2.core.straight_line import PARALLEL, evaluate
from kan2.core.tensors import missing_column, open_table, to_tensor
from kan2.core.trace import LayerTrace, Trace
from kan2.errors import DataError, ShapeError, SpecError, named_options
from kan2.options import device as checked_device
from kan2.options import dtype as checked_dtype
from kan2.options import number
from kan2.options import seed as checked_seed
from kan2.tables.frames import matrix, named_columns
from kan2.types import ArrayLike

if TYPE_CHECKING:

    class LayerList(nn.ModuleList):
        """A ModuleList of which type checkers know what it holds."""

        def __iter__(self) -> Iterator[KANLayer]: ...  # type: ignore[override]

        def __getitem__(self, index: int) -> KANLayer: ...  # type: ignore[override]

else:
    LayerList = nn.ModuleList


class Network(nn.Module):
    """A Kolmogorov-Arnold network: made by `from_spec`, `from_values` or `from_layers`, evaluated by calling it.

    Attributes:
        spec: what the network is, frozen.
        layers: its layers, inputs first.
        constants: where there is a theory, the values of its parameters, a tensor (level,) each.
    """

    spec: NetworkSpec
    layers: LayerList
    data: Dataset | None = None
    """The data of the last `fit`, which verbs use when they are called without samples; copies and files drop it."""
    objective: Any = None
    """What the last `fit` lowered, an `Objective`, by which verbs judge what they try; likewise dropped."""
    report: Any = None
    """What the verb that made this network has to say about it, such as a `SymbolicReport`; likewise dropped."""

    is_fresh: bool = False
    """Whether its numbers are random draws, which `fit` may fit to the units of the data; copies keep it."""
    smoothing: float = 0.0
    """Strength of the smoothing of the last fit, see `kan2.training.smoothing`; copies keep it."""

    @classmethod
    @named_options
    def from_spec(
        cls, spec: NetworkSpec, *, dtype: torch.dtype = torch.float64, device: torch.device | str | None = None
    ) -> Self:
        """Builds a network from its spec: zero splines, symbolic terms f(x), identity affines."""
        check_spec("from_spec", spec)
        dtype = checked_dtype("from_spec", dtype, error=SpecError)
        device = checked_device("from_spec", device, error=SpecError)
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        model._build(spec, torch.empty(0, dtype=dtype, device=device))
        return model

    @classmethod
    @named_options
    def from_values(
        cls, spec: NetworkSpec, values: Sequence[LayerValues], *, dtype: torch.dtype = torch.float64
    ) -> Self:
        """Builds a network from its spec and the numbers of its symbolic terms and affines.

        Raises:
            ShapeError: a number of layers, terms or nodes disagrees with the spec.
            SpecError: these are no spec, no values of layers, or no floating-point type.
        """
        check_spec("from_values", spec)
        values = members("from_values", "values", values, LayerValues)
        model = cls.from_spec(spec, dtype=checked_dtype("from_values", dtype, error=SpecError))
        if len(values) != len(spec.layers):
            raise ShapeError(f"from_values: expected values of {len(spec.layers)} layers, got {len(values)}.")
        for i, (layer, given) in enumerate(zip(model.layers, values)):
            for name in ("subnode_scale", "subnode_bias", "node_scale", "node_bias"):
                assign(getattr(layer, name), getattr(given, name), f"from_values: layer {i}, {name}")
            if layer.symbolic is not None:
                assign(layer.symbolic.affine, given.affine, f"from_values: layer {i}, affine")
                assign(layer.symbolic.shape, given.shape, f"from_values: layer {i}, shape")
        return model

    @classmethod
    @named_options
    def from_layers(cls, spec: NetworkSpec, layers: Sequence[KANLayer]) -> Self:
        """Builds a network around given layers; their specs replace those of `spec`."""
        check_spec("from_layers", spec)
        layers = members("from_layers", "layers", layers, KANLayer)
        model = cls.__new__(cls)
        nn.Module.__init__(model)
        model.spec = spec.replace_layers([layer.spec for layer in layers])
        model.layers = LayerList(layers)
        return model

    def _build(self, spec: NetworkSpec, like: Tensor, grid_range: tuple[float, float] = (-1.0, 1.0)) -> None:
        if not grid_range[0] < grid_range[1]:
            raise SpecError(f"MultKAN: expected grid_range with low < high, got {grid_range!r}.")
        self.spec = spec
        self.layers = LayerList(KANLayer.from_spec(layer, like, grid_range) for layer in spec.layers)
        if spec.theory is not None:
            self.constants = starting_constants(spec.theory, like)

    @property
    def width(self) -> list[list[int]]:
        """Numbers of addition and multiplication nodes of each layer of nodes, inputs first."""
        return self.spec.width

    @property
    def like(self) -> Tensor:
        """A parameter: its type and device are those of the network."""
        return self.layers[0].node_scale

    def extra_repr(self) -> str:
        return f"width={self.width}, inputs={list(self.spec.inputs)}"

    @named_options
    def reset_parameters(self, noise_scale: float = 0.1, seed: int = 0) -> None:
        """Draws new numeric activations in place, see `KANLayer.reset_parameters`.

        Args:
            noise_scale: size of the random part of the splines.
            seed: seed of a generator of its own; the global random state is neither read nor moved.
        """
        noise_scale = number("reset_parameters", "noise_scale", noise_scale, 0, error=SpecError)
        generator = torch.Generator().manual_seed(checked_seed("reset_parameters", seed, error=SpecError))
        for layer in self.layers:
            layer.reset_parameters(noise_scale, generator)
        self.is_fresh = True

    def prepare(self, x: ArrayLike) -> Float[Tensor, "*batch input"]:
        """Converts samples to the type and device of the network and checks the number of columns.

        The columns of a frame, a dict or a file are taken by the names of the inputs, in whatever order they stand and
        with others beside them; those of arrays by position.

        Raises:
            ShapeError: the last axis does not match the inputs.
            UnknownNameError: a frame has no column of the name of an input.
        """
        if not isinstance(x, Tensor):
            x = self._by_name(x, "MultKAN")
        # Not by attribute, which takes longer than the rest.
        like = self._modules["layers"]._modules["0"]._parameters.get("node_scale")  # type: ignore[union-attr]
        x = to_tensor(x, "MultKAN").to(self.like if like is None else like)
        n = len(self.spec.inputs)
        if x.ndim == 0 or x.shape[-1] != n:
            hint = " One variable is a column: reshape(-1, 1)." if n == 1 else ""
            raise ShapeError(
                f"MultKAN: expected {n} columns ({', '.join(self.spec.inputs)}) in the last axis, "
                f"got shape {tuple(x.shape)}.{hint}"
            )
        return x

    def _by_name(self, x: Any, where: str) -> Any:
        # The columns of the inputs where they have names, anything else as it is.
        x = open_table(x)
        columns = named_columns(x)
        if columns is None:
            return x
        inputs = self.spec.inputs
        for name in inputs:
            if name not in columns:
                raise missing_column(where, name, inputs, tuple(columns))
        return matrix(columns, inputs, where)

    def given(self, data: Any, where: str, target: Columns | None = None) -> Any:
        """Returns data for a verb with tables as a whole made into a Dataset, or into samples alone without targets.

        Args:
            data: see `samples`.
            where: name of the verb, for messages.
            target: name of the column of targets, or several; by default those of the outputs, where there are such.

        Raises:
            DataError: `target` is given beside something else than a table.
            UnknownNameError: a column is missing.
        """
        is_dict = isinstance(data, dict) and "train_input" in data
        if data is None or isinstance(data, Tensor | Dataset | tuple | list) or is_dict:
            if target is not None:
                raise DataError(
                    f"{where}: expected target= beside a table as a whole, a frame or a file, got it beside "
                    f"{type(data).__name__}. Leave it out."
                )
            return data
        table = open_table(data)
        columns = named_columns(table)
        if columns is None:
            return table
        chosen = self.spec.outputs if target is None else target
        if target is None and not all(name in columns for name in chosen):
            return self._by_name(table, where)
        for name in self.spec.inputs:
            if name not in columns:
                raise missing_column(where, name, self.spec.inputs, tuple(columns))
        return read_dataset(table, self.spec.inputs, chosen)

    def inherit_(self, other: "Network") -> Self:
        """Takes over what another network remembers of its training, and returns the network itself."""
        self.data, self.objective = other.data, other.objective
        self.is_fresh, self.smoothing = other.is_fresh, other.smoothing
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("data", "objective", "report")}

    def samples(
        self,
        data: Any = None,
        where: str = "samples",
        needs_targets: bool = False,
        *,
        skips: bool = False,
        target: Columns | None = None,
    ) -> Dataset:
        """Returns data for a verb: what the caller gave, or else the data of the last `fit`.

        Args:
            data: a Dataset, (X, y), a dict with train_input and train_label, X alone, a frame or the path of a table,
                or None. Columns with names are taken by the names of the inputs.
            where: name of the verb, for the error message.
            needs_targets: refuse X alone, instead of taking the outputs of the network for targets.
            skips: leave out samples that hold nan or infinity, with a warning, instead of refusing them.
            target: name of the column of targets in a table, or several; by default those of the outputs.

        Raises:
            DataError: no data were given and the network was not trained, or targets are missing; samples are not
                finite, with `skips` all of them.
            UnknownNameError: a column is missing.
        """
        data = self.given(data, where, target)
        if data is None:
            if self.data is None:
                raise DataError(
                    f"{where}: expected samples, got none, and the network has no data of a fit. Pass data."
                )
            return self.data
        inputs = self.spec.inputs
        if isinstance(data, Dataset | tuple | list | dict):
            strict = not isinstance(data, Dataset)
            data = finite_rows(read_dataset(data), where) if skips else as_dataset(data)
            return as_network(data, inputs, self.spec.outputs, where, strict=strict).to(self.like)
        if needs_targets:
            raise DataError(f"{where}: expected samples with targets (X, y), got X alone. Pass the training data.")
        x = self.prepare(data)
        x = (finite_rows(read_dataset((x, x), inputs), where) if skips else as_dataset((x, x), inputs)).X
        with torch.no_grad():
            return Dataset(x, self(x), inputs)

    def features(self, x: ArrayLike) -> Float[Tensor, "*batch feature"]:
        """Returns what the first layer reads: selected inputs and auxiliary variables."""
        x, spec = self.prepare(x), self.spec
        if spec.features == spec.inputs:
            return x
        constants = constant_features(x, spec, self.constants) if spec.theory else {}
        return compute_features(x, spec.inputs, spec.auxiliary, spec.features, constants)

    def forward(self, x: ArrayLike) -> Float[Tensor, "*batch output"]:
        """Evaluates the network on (..., inputs); nothing is stored.

        Where no gradient is wanted, many rows go through it some at a time, so that memory does not grow with them.
        """
        layers: LayerList = self._modules["layers"]  # type: ignore[assignment]
        nodes = self.features(x)
        if nodes.shape[:-1].numel() <= PARALLEL and (found := evaluate(layers, nodes)) is not None:
            return found
        rows = part_rows(self, nodes, max((layer.row_width for layer in self.spec.layers), default=1))
        return in_parts(self._through, nodes, rows) if rows else self._through(nodes)

    def _through(self, nodes: Float[Tensor, "*batch feature"]) -> Float[Tensor, "*batch output"]:
        layers: LayerList = self._modules["layers"]  # type: ignore[assignment]
        found = evaluate(layers, nodes)
        if found is not None:
            return found
        for layer in layers:
            nodes = layer(nodes)
        return nodes

    def trace(self, x: ArrayLike) -> Trace:
        """Evaluates the network on (batch, inputs) and returns what happened in every layer."""
        nodes = self.features(x)
        if nodes.ndim != 2:
            raise ShapeError(f"trace: expected a table (samples, variables), got shape {tuple(nodes.shape)}.")
        records = []
        for layer in self.layers:
            subnodes = layer.subnodes(nodes)
            outputs = layer.nodes(subnodes)
            records.append(LayerTrace(layer, nodes, subnodes, outputs))
            nodes = outputs
        return Trace(tuple(records))

    @named_options
    def jet(self, x: ArrayLike, order: int = 2) -> Jet:
        """Returns value, gradient, Hessian (and third derivatives) with respect to the inputs, see `kan2.jet`."""
        return jet(self, x, order)

    @named_options
    def laplacian(self, x: ArrayLike) -> Float[Tensor, "batch output"]:
        """Returns the sum of second derivatives with respect to the inputs, see `kan2.laplacian`."""
        return laplacian(self, x)

    @torch.no_grad()
    def predict(self, x: ArrayLike) -> np.ndarray:
        """Evaluates the network and returns a NumPy array (batch, output)."""
        return self(x).cpu().numpy()

    @property
    def is_formula(self) -> bool:
        """Whether every edge is a symbolic function, as in a compiled network."""
        return not any(layer.numeric_pairs for layer in self.spec.layers)

    @property
    def n_parameters(self) -> int:
        """Number of trainable numbers: weights of active numeric edges and free numbers of symbolic terms."""
        total = 0
        for layer in self.layers:
            if layer.numeric is not None:
                total += len(layer.spec.numeric_pairs) * layer.numeric.weight.shape[-1]
            if layer.symbolic is not None:
                total += int(layer.symbolic.free.sum())
            if layer.spec.affine_trainable:
                total += 2 * (layer.spec.n_subnodes + layer.spec.n_out)
        return total

    def summary(self) -> str:
        """Returns a table of the layers as text.

        Example:
            >>> from kan2 import MultKAN
            >>> print(MultKAN([2, [1, 1], 1]).summary())
            layer  sources  sums  products  numeric  symbolic  grid  k
                0        2     1       (2)        6         0     5  3
                1        2     1         -        2         0     5  3
            8 edges, 72 parameters, float64 on cpu, x1, x2 -> y
        """
        lines = ["layer  sources  sums  products  numeric  symbolic  grid  k"]
        for i, layer in enumerate(self.spec.layers):
            products = "(" + ",".join(map(str, layer.arities)) + ")" if layer.arities else "-"
            lines.append(
                f"{i:5}  {layer.n_in:7}  {layer.n_sum:4}  {products:>8}  {len(layer.numeric_pairs):7}  "
                f"{len(layer.terms):8}  {layer.basis.grid:4}  {layer.basis.k}"
            )
        kind = str(self.like.dtype).removeprefix("torch.")
        names = f"{', '.join(self.spec.inputs)} -> {', '.join(self.spec.outputs)}"
        lines.append(
            f"{self.spec.n_edges} edges, {self.n_parameters} parameters, {kind} on {self.like.device}, {names}"
        )
        return "\n".join(lines)


AnyNetwork = TypeVar("AnyNetwork", bound=Network)
"""The class of a network that a function is given and of the one that it makes from it."""
