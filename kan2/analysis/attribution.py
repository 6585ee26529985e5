"""Attribution scores: how much every edge, subnode, node and input matters for the outputs.

The *score* of an output is 1. A product hands its score to each of its subnodes; a subnode divides its score among its
edges in proportion to their standard deviations: B[target, source] = A[target] E[target, source] / N[target], with E
the standard deviation of the edge and N that of the subnode; a node collects the scores of the edges that read it.
Unlike a magnitude, a score sees what later layers do with a value.

With *shares*, a factor of a product receives only the part of the product's spread that is lost when the factor is
replaced by its mean: a factor that hardly varies then counts for little. Pruning uses shares.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 4.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.data import Columns
from kan2.core.layer import KANLayer
from kan2.core.network import Network
from kan2.core.tensors import warn_of_rows
from kan2.core.trace import LayerTrace
from kan2.core.verbs import verb
from kan2.errors import DataError, unknown_name
from kan2.options import flag, is_whole, network

CHUNK_ENTRIES = 2**24  # edge values held at a time


@dataclass(frozen=True)
class Attribution:
    """The scores of a network on given samples, by layer.

    Attributes:
        edges: (target, source) of each layer.
        subnodes: (subnode,) of each layer.
        nodes: (node,) of each layer of nodes, the features that layer 0 reads first.
        features: names of what layer 0 reads.
    """

    # Sizes differ from layer to layer, which the underscore says.
    edges: tuple[Float[Tensor, "_target _source"], ...]
    subnodes: tuple[Float[Tensor, " _subnode"], ...]
    nodes: tuple[Float[Tensor, " _node"], ...]
    features: tuple[str, ...]

    @property
    def inputs(self) -> dict[str, float]:
        """The scores of the features by name, the largest first."""
        pairs = zip(self.features, self.nodes[0].tolist())
        return dict(sorted(pairs, key=lambda pair: -pair[1]))

    def __str__(self) -> str:
        width = max(map(len, self.features))
        return "\n".join(f"{name:{width}}  {score:.4f}" for name, score in self.inputs.items())


@dataclass(frozen=True)
class EdgeStatistics:
    """Mean and standard deviation of every edge of a layer over samples."""

    mean: Float[Tensor, "target source"]
    std: Float[Tensor, "target source"]


@verb
def attribute(
    model: Network,
    data: Any = None,
    *,
    outputs: str | int = "mean",
    shares: bool = False,
    target: Columns | None = None,
) -> Attribution:
    """Returns the attribution scores of a network.

    Args:
        model: the network.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
        outputs: "mean" or "max" over the outputs, or the name or number of one output.
        shares: let factors of a product share its score by what they contribute, see the module.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Raises:
        DataError: fewer than two samples, or on fewer than two are all activations finite.
        UnknownNameError: no such output.

    Example:
        >>> from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
        >>> layer = LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(0, 1, "0")))
        >>> attribute(MultKAN.from_spec(NetworkSpec((layer,))), torch.tensor([[0.0, 1.0], [1.0, 5.0]])).inputs
        {'x1': 1.0, 'x2': 0.0}
    """
    network("attribute", model)
    shares = flag("attribute", "shares", shares)
    if not isinstance(outputs, str) and not is_whole(outputs):
        raise unknown_name("attribute", "output", outputs, ["mean", "max", *model.spec.outputs])
    if isinstance(outputs, str) and outputs not in ("mean", "max", *model.spec.outputs):
        raise unknown_name("attribute", "output", outputs, ["mean", "max", *model.spec.outputs])
    n_outputs = len(model.spec.outputs)
    if not isinstance(outputs, str) and not 0 <= outputs < n_outputs:
        raise unknown_name("attribute", "output", outputs, map(str, range(n_outputs)))
    records = finite_trace(model, data, "attribute")
    scores = output_scores(model, records, [edge_statistics(r.layer, r.inputs) for r in records], shares)
    if outputs in ("mean", "max"):
        scores = [[t.mean(0) if outputs == "mean" else t.amax(0) for t in part] for part in scores]
    else:
        index = model.spec.outputs.index(outputs) if isinstance(outputs, str) else int(outputs)
        scores = [[t[index] for t in part] for part in scores]
    edges, subnodes, nodes = (tuple(part) for part in scores)
    return Attribution(edges, subnodes, nodes, model.spec.features)


@verb
def feature_score(model: Network, data: Any = None, *, target: Columns | None = None) -> Float[Tensor, " feature"]:
    """Returns the attribution score of every feature that the first layer reads, averaged over the outputs.

    Args:
        model: the network.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.
    """
    return attribute(model, data).nodes[0]


@torch.no_grad()
def finite_trace(model: Network, data: Any, where: str, fewest: int = 2) -> tuple[LayerTrace, ...]:
    """Returns the trace of a network on the samples on which it is finite, with a warning where some are not.

    Args:
        model: the network.
        data: samples, see `Network.samples`.
        where: name of the verb, for messages.
        fewest: number of samples that are needed.

    Raises:
        DataError: fewer samples are left.
    """
    return _finite(model, data, where, fewest)[1]


def finite_samples(model: Network, data: Any, where: str, fewest: int = 1) -> Float[Tensor, "batch input"]:
    """Returns the samples on which a network is finite; see `finite_trace`."""
    return _finite(model, data, where, fewest)[0]


@torch.no_grad()
def _finite(model: Network, data: Any, where: str, fewest: int) -> tuple[Tensor, tuple[LayerTrace, ...]]:
    x = model.samples(data, where, skips=True).X
    layers = model.trace(x).layers
    kept = torch.stack([torch.isfinite(v).all(1) for record in layers for v in (record.inputs, record.outputs)]).all(0)
    if not bool(kept.all()):
        warn_of_rows(kept, where, "on which some activation is nan or infinity")
        x = x[kept]
        layers = model.trace(x).layers
    if len(x) < fewest:
        raise DataError(f"{where}: expected at least two samples, got {len(x)}. Scores need a spread.")
    return x, layers


@torch.no_grad()
def edge_statistics(layer: KANLayer, x: Float[Tensor, "batch source"]) -> EdgeStatistics:
    """Returns mean and standard deviation of every edge, in chunks of samples that fit into memory."""
    rows = max(1, CHUNK_ENTRIES // (layer.spec.n_subnodes * layer.spec.n_in))
    if x.shape[0] <= rows:
        values = layer.edge_values(x)
        return EdgeStatistics(values.double().mean(0).to(values), spread(values))
    # Sums and squares of float32 numbers may not fit into it.
    mean = torch.stack([layer.edge_values(part).double().sum(0) for part in x.split(rows)]).sum(0) / x.shape[0]
    square = torch.stack([((layer.edge_values(part) - mean) ** 2).sum(0) for part in x.split(rows)]).sum(0)
    return EdgeStatistics(mean.to(x), _beyond_rounding((square / x.shape[0]).sqrt(), mean, x))


def spread(values: Float[Tensor, "batch *axes"]) -> Float[Tensor, "*axes"]:
    """Returns the standard deviation over the batch; exactly 0 where it is no more than rounding."""
    precise = values.double()
    return _beyond_rounding(precise.std(0, correction=0), precise.mean(0), values)


def _beyond_rounding(std: Tensor, mean: Tensor, like: Tensor) -> Tensor:
    return torch.where(std > 16 * torch.finfo(like.dtype).eps * mean.abs(), std, 0.0).to(like)


@torch.no_grad()
def output_scores(
    model: Network, records: Sequence[LayerTrace], statistics: Sequence[EdgeStatistics], shares: bool
) -> list[list[Tensor]]:
    """Returns the scores for every output separately: edges, subnodes and nodes with a leading output axis."""
    node = torch.eye(len(model.spec.outputs)).to(model.like)
    edges: list[Tensor] = []
    subnodes: list[Tensor] = []
    nodes = [node]
    for record, values in zip(reversed(records), reversed(statistics)):
        spec = record.layer.spec
        owner = torch.tensor([i for i, group in enumerate(spec.groups) for _ in group], device=node.device)
        subnode = node[:, owner]
        if shares and spec.arities:
            subnode = subnode * factor_shares(record)
        total = spread(record.subnodes)
        # Large edges that cancel up to rounding carry nothing.
        carries = total > 16 * torch.finfo(total.dtype).eps * values.std.double().sum(1)
        ratio = torch.where(carries[:, None], values.std / torch.where(carries, total, 1.0)[:, None], 0.0)
        edge = subnode[:, :, None] * ratio
        node = edge.sum(1)
        edges.insert(0, edge)
        subnodes.insert(0, subnode)
        nodes.insert(0, node)
    return [edges, subnodes, nodes]


def factor_shares(record: LayerTrace) -> Float[Tensor, " subnode"]:
    """Returns for each subnode the part of its node's spread, 0 to 1, that is lost when it is replaced by its mean.

    Subnodes of addition nodes have 1.
    """
    layer = record.layer
    values = (record.subnodes * layer.subnode_scale + layer.subnode_bias).double()
    shares = torch.ones_like(record.subnodes[0])
    for group in layer.spec.groups[layer.spec.n_sum :]:
        factors = values[:, group]
        product = factors.prod(1)
        total = spread(product)
        for i, subnode in enumerate(group):
            frozen = factors.clone()
            frozen[:, i] = factors[:, i].mean()
            moved = (product - frozen.prod(1)).square().mean().sqrt()
            shares[subnode] = torch.where(total > 0, (moved / total).clamp(max=1), 0.0).to(shares)
    return shares
