"""Which inputs matter beyond chance, and which act together.

*Noise floor*: shuffled copies of the features, called shadows, are offered to the network beside the true ones, and it
is trained for a few more steps. What the shadows score, they score by chance. Their scores are nearly log-normal; the
floor is what the best of as many chance features as there are true ones exceeds in one case of a hundred, and no less
than the best shadow. A feature is *relevant* if it scores more.

*Interaction* of two features: the root mean square of the mixed second derivative of the output, in units of the
spreads of the features and of the output. It vanishes where the output is a sum of functions of one of them each.

References: Kursa, Rudnicki, Feature Selection with the Boruta Package (2010), doi:10.18637/jss.v036.i11; Friedman,
Popescu, Predictive Learning via Rule Ensembles (2008), arXiv 0811.1679.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import exp, log
from statistics import NormalDist, mean, stdev
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.analysis.attribution import attribute
from kan2.core.data import Dataset
from kan2.core.network import AnyNetwork, Network
from kan2.core.spec import NetworkSpec
from kan2.edits.choose import choose
from kan2.edits.expand import add_splines
from kan2.edits.prune import prune_input
from kan2.errors import TrainingError
from kan2.training.objective import objective_of
from kan2.training.refit import train_on

LARGEST_SHADOWS = 20  # shadows offered at a time
CHANCE = 0.01  # of any irrelevant feature above the floor
SMALL = 1e-3  # size of the first weights of shadows, relative to those of the true feature


@dataclass(frozen=True)
class Relevance:
    """The scores of the features and what chance alone would give; prints as a table.

    Attributes:
        scores: attribution scores by name, the largest first.
        floor: the noise floor.
        shadows: the scores of all shadows.
    """

    scores: dict[str, float]
    floor: float
    shadows: tuple[float, ...]

    @property
    def relevant(self) -> tuple[str, ...]:
        """Names of the features that score above the floor, the strongest first."""
        return tuple(name for name, score in self.scores.items() if score > self.floor)

    def __str__(self) -> str:
        width = max(map(len, self.scores))
        lines = [f"{n:{width}}  {s:.4f}  {'' if s > self.floor else 'irrelevant'}" for n, s in self.scores.items()]
        return "\n".join([line.rstrip() for line in lines] + [f"noise floor {self.floor:.4f}"])


def relevance(
    model: Network, data: Any = None, *, n_shadows: int | None = None, steps: int = 20, seed: int = 0
) -> Relevance:
    """Returns the scores of the features together with the noise floor.

    Args:
        model: a trained network; left as it is.
        data: training samples with targets; by default those of the last fit.
        n_shadows: number of shuffled features; by default as many as there are features, at most 20.
        steps: training steps with the shadows.
        seed: seed of the shuffles.

    Raises:
        DataError: there are no targets to train on.
        TrainingError: the network was trained on a residual, which knows no shuffled inputs.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> data = sample_function("sin(3*x1) + 0*x2", [(-1, 1), (-1, 1)], n=200, noise=0.1)
        >>> model = MultKAN([2, 1])
        >>> history = model.fit(data)
        >>> relevance(model).relevant
        ('x1',)
    """
    samples, objective = objective_of(model, data, "relevance", needs_targets=True)
    if objective.residual is not None:
        raise TrainingError(
            "relevance: expected a network trained on data, got one trained on a residual, which knows no shuffled "
            "inputs. Pass data with targets."
        )
    n = len(model.spec.features)
    generator = torch.Generator().manual_seed(seed)
    count = min(n, LARGEST_SHADOWS) if n_shadows is None else n_shadows
    with torch.no_grad():
        features = model.features(samples.X)
    origins = torch.randperm(n, generator=generator).repeat(-(-count // n))[:count].tolist()
    rows = [torch.randperm(len(features), generator=generator) for _ in origins]
    shadows = torch.stack([features[order.to(features.device), origin] for order, origin in zip(rows, origins)], 1)
    offered, table = _with_shadows(model, samples, features, shadows, origins, generator)
    train_on(offered, table, objective, steps)
    scores = attribute(objective.normalised(offered), table).nodes[0].tolist()
    pairs = sorted(zip(model.spec.features, scores[:n]), key=lambda pair: -pair[1])
    return Relevance(dict(pairs), _floor(scores[n:], n), tuple(scores[n:]))


def _floor(shadows: Sequence[float], n: int) -> float:
    if len(shadows) < 3 or not all(score > 0 for score in shadows):
        return max(shadows)
    logs = [log(score) for score in shadows]
    return max(max(shadows), exp(mean(logs) + NormalDist().inv_cdf(1 - CHANCE / n) * stdev(logs)))


def _with_shadows(
    model: AnyNetwork,
    data: Dataset,
    features: Tensor,
    shadows: Tensor,
    origins: Sequence[int],
    generator: torch.Generator,
) -> tuple[AnyNetwork, Dataset]:
    # The features become plain inputs; every subnode of the first layer may read every shadow, on its origin's grid.
    n, names = len(model.spec.features), (*model.spec.features, *(f"shadow {i}" for i in range(len(origins))))
    first = choose(model.layers[0], sources=[*range(n), *(None for _ in origins)])
    pairs = [(t, n + i) for t in range(first.spec.n_subnodes) for i in range(len(origins))]
    first = add_splines(first, pairs)
    assert first.numeric is not None
    first.numeric.basis = first.numeric.basis.select([*range(n), *origins])
    weight = first.numeric.weight
    with torch.no_grad():
        # In the units of the feature that a shadow copies.
        size = weight[:, origins].square().mean(0).sqrt()
        noise = torch.randn(weight[:, n:].shape, generator=generator, dtype=torch.float64).to(weight)
        weight[:, n:] = SMALL * size * noise
    layers = [first, *(copy.deepcopy(layer) for layer in list(model.layers)[1:])]
    spec = NetworkSpec(tuple(layer.spec for layer in layers), names, model.spec.outputs)
    offered = type(model).from_layers(spec, layers)
    table = replace(data, X=torch.cat([features, shadows], 1), inputs=names, auxiliary=(), X_test=None, y_test=None)
    offered.data = table
    return offered, table


def prune_irrelevant(model: AnyNetwork, data: Any = None, **options: Any) -> AnyNetwork:
    """Returns the network that reads only features that score above the noise floor; see `relevance`.

    Args:
        model: left as it is.
        data: training samples with targets; by default those of the last fit.
        options: of `relevance`.
    """
    samples = model.samples(data, "prune_irrelevant", needs_targets=True)
    found = relevance(model, data, **options)
    return prune_input(model, samples, active=list(found.relevant or model.spec.features))


def feature_interaction(model: Network, data: Any = None, output: int = 0) -> Float[Tensor, "input input"]:
    """Returns how strongly each pair of inputs acts together on an output; the diagonal holds curvatures.

    Args:
        model: the network.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
        output: which output.

    Example:
        >>> from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
        >>> factors = tuple(SymbolicTerm(i, i, "x") for i in range(2))
        >>> model = MultKAN.from_spec(NetworkSpec((LayerSpec(2, 0, (2,), (), factors),)))
        >>> x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
        >>> feature_interaction(model, x).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    x = model.samples(data, "feature_interaction").X
    with torch.no_grad():
        jet = model.jet(x, order=2)
    spread = x.std(0, correction=0)
    assert jet.hessian is not None
    hessian = jet.hessian[:, output]
    scale = jet.value[:, output].std(correction=0).clamp_min(torch.finfo(x.dtype).tiny)
    return hessian.square().mean(0).sqrt() * spread[:, None] * spread / scale
