"""Which inputs matter beyond chance, and which act together.

*Redrawing* a feature gives every sample another value of it that goes as well with the sample's other features: what
they predict linearly, plus what is left of another sample. An irrelevant feature tells nothing about the target beyond
the others; so on samples that a network has not seen, its error is as likely to fall as to rise when the feature is
redrawn, however the network uses it. This holds with and without noise, for networks that fit to rounding and for
those that overfit. The *score* of a feature is by how much the error grows, the *noise floor* by how much it grows by
chance: the redrawings scatter, and the floor is what any irrelevant feature exceeds in one case of a hundred. Networks
are trained anew for this, wired like the given one, on the other folds of the samples.

*Interaction* of two features: the root mean square of the mixed second derivative of the output, in units of the
spreads of the features and of the output. It vanishes where the output is a sum of functions of one of them each.

References: Candes, Fan, Janson, Lv, Panning for Gold: Model-X Knockoffs (2018), doi:10.1111/rssb.12265, section 4.1,
for tests that redraw a feature; Friedman, Popescu, Predictive Learning via Rule Ensembles (2008), arXiv 0811.1679.
"""

import copy
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import exp, sqrt
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from kan2 import options
from kan2.analysis.attribution import finite_samples
from kan2.core.data import Columns
from kan2.core.layer import chunked
from kan2.core.linalg import lstsq
from kan2.core.network import AnyNetwork, Network
from kan2.core.spec import NetworkSpec
from kan2.core.verbs import verb
from kan2.edits.prune import prune_input
from kan2.errors import DataError, TrainingError, check_options
from kan2.interrupts import Interruptible
from kan2.training.fit import fit
from kan2.training.objective import Objective, objective_of
from kan2.training.spread import moments

LOG = logging.getLogger("kan2.discovery")
CHANCE = 0.01  # of any irrelevant feature above its floor
FEWEST, FEWEST_SAMPLES = 10, 200  # samples that are needed, and samples that are always looked at
LARGEST_WORK = 1_000_000  # evaluations of the network in each fold, where that leaves enough samples
# On samples kept out of training, steps stop when the error no longer falls. [4, 5, 1] on 500 samples with 5 % noise:
# 10 of 10 seeds tell x2 in x0^2 + 0.3 x1 + 0.1 x2^3 with them, 7 of 10 without; mean absolute errors tell it in all.
KEPT_OUT, PATIENCE = 0.25, 15
SMALLEST = 1e-30  # errors below this share of the largest one are rounding, and count as equal
TIED = 1e-3  # share of a feature's spread below which the others determine it


@dataclass(frozen=True)
class Relevance:
    """The scores of the features and what chance alone would give; prints as a table.

    Attributes:
        scores: by how much the mean absolute error on unseen samples grows when the feature is redrawn, in standard
            deviations of the targets, by name, the largest first; over folds the geometric mean is taken.
        floors: the noise floor of each.
        interrupted: whether Ctrl-C ended the tests before all samples had been looked at.
    """

    scores: dict[str, float]
    floors: dict[str, float]
    interrupted: bool = False

    @property
    def relevant(self) -> tuple[str, ...]:
        """Names of the features that score above the floor, the strongest first."""
        return tuple(name for name, score in self.scores.items() if score > self.floors[name])

    def __str__(self) -> str:
        width = max(map(len, (*self.scores, "feature")))
        lines = [f"{'feature':{width}}  score    noise floor"]
        for name, score in self.scores.items():
            verdict = "" if score > self.floors[name] else "irrelevant"
            lines.append(f"{name:{width}}  {score:<7.2g}  {self.floors[name]:<11.2g}  {verdict}".rstrip())
        return "\n".join(lines)


@verb
def relevance(
    model: Network,
    data: Any = None,
    *,
    folds: int = 3,
    draws: int = 30,
    steps: int = 100,
    seed: int = 0,
    target: Columns | None = None,
) -> Relevance:
    """Returns the scores of the features together with the noise floor.

    Args:
        model: a network; left as it is, its wiring and its symbolic edges are what is trained.
        data: training samples with targets; by default those of the last fit.
        folds: number of parts of the samples, each of which is judged by a network trained on the others, >= 2.
        draws: number of redrawings of each feature, >= 3.
        steps: training steps of each network.
        seed: seed of folds, redrawings and starts.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Returns:
        the scores; after Ctrl-C those of the folds that had been judged, marked as interrupted.

    Raises:
        DataError: there are no targets to train on, fewer than ten samples that count, or too few folds or draws.
        KeyboardInterrupt: Ctrl-C came before the first fold had been judged.
        TrainingError: the network was trained on a residual, which knows no redrawn inputs.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> data = sample_function("sin(3*x1) + 0*x2", [(-1, 1), (-1, 1)], n=200, noise=0.1)
        >>> relevance(MultKAN([2, 1]), data).relevant
        ('x1',)
    """
    options.network("relevance", model)
    steps, seed = options.whole("relevance", "steps", steps, 0), options.seed("relevance", seed)
    samples, objective = objective_of(model, data, "relevance", needs_targets=True)
    if objective.residual is not None:
        raise TrainingError(
            "relevance: expected a network trained on data, got one trained on a residual, which knows no redrawn "
            "inputs. Pass data with targets."
        )
    weight = objective.sample_weight
    weight = torch.ones(len(samples)) if weight is None else weight
    weight = weight.to(samples.X.device).double()
    counted = (weight > 0).nonzero().squeeze(1)
    n = len(counted)
    if n < FEWEST or not options.is_whole(folds, 2, n // 5) or not options.is_whole(draws, 3):
        raise DataError(
            f"relevance: expected at least {FEWEST} samples that count, 2 to samples/5 folds and 3 draws, got {n}, "
            f"{folds!r} folds, {draws!r} draws."
        )
    folds, draws = int(folds), options.size("relevance", "draws", draws, 3)
    generator = torch.Generator().manual_seed(seed)
    plain = not any(layer.spec.terms for layer in model.layers)
    with torch.no_grad():
        weight = weight[counted]
        features = _standard(model.features(samples.X)[counted].double(), weight, plain)
        targets = _standard(samples.y[counted].double(), weight, plain and objective.is_squares)
    spread = float(moments(targets, weight)[1].mean())
    errors: list[Tensor] = []
    with Interruptible() as block:
        for held in torch.randperm(n, generator=generator).to(features.device).chunk(folds):
            trained_on = objective.loss, None if objective.sample_weight is None else weight
            network = _trained(model, features, targets, held, trained_on, steps, seed)
            size = max(FEWEST_SAMPLES, LARGEST_WORK // (draws * features.shape[1]))
            held = held[:size]
            errors.append(_errors(network, features, targets, weight, held, objective, draws, generator) / spread)
            block.has_result = True
            LOG.info("relevance: fold %d of %d is judged", len(errors), folds)
    return replace(_judged(model.spec.features, torch.stack(errors)), interrupted=block.interrupted)


def _standard(columns: Tensor, weight: Tensor, is_wanted: bool) -> Tensor:
    # Symbolic edges may be defined for the given numbers alone; splines take any unit.
    if not is_wanted:
        return columns
    mean, spread = moments(columns, weight)
    return (columns - mean) / spread


def _trained(
    model: AnyNetwork,
    features: Tensor,
    targets: Tensor,
    held: Tensor,
    trained_on: tuple[Any, Tensor | None],
    steps: int,
    seed: int,
) -> AnyNetwork:
    # What the given network has learned of the samples that are held out must be forgotten.
    spec = NetworkSpec(model.spec.layers, model.spec.features, model.spec.outputs)
    network = type(model).from_layers(spec, [copy.deepcopy(layer) for layer in model.layers]).double()
    network.reset_parameters(seed=seed)
    kept = torch.ones(len(features), dtype=torch.bool, device=features.device)
    kept[held] = False
    loss, weight = trained_on
    options = {"steps": steps, "validation": KEPT_OUT, "patience": PATIENCE, "seed": seed, "loss": loss}
    fit(network, (features[kept], targets[kept]), sample_weight=None if weight is None else weight[kept], **options)
    return network


@torch.no_grad()
def _errors(
    network: Network,
    features: Tensor,
    targets: Tensor,
    weight: Tensor,
    held: Tensor,
    objective: Objective,
    draws: int,
    generator: torch.Generator,
) -> Float[Tensor, "feature trial"]:
    # The mean absolute error, or another loss than squares, on the samples held out: first as they are, then with the
    # feature redrawn.
    x, y, share = features[held], targets[held], weight[held] / weight[held].sum()

    def losses(output: Tensor) -> Tensor:
        if objective.is_squares:
            return (output - y).abs().mean(1)
        return objective.losses(output, y)

    # A value outside the domain of a symbolic edge is worth as much as none.
    blind = float(losses(torch.zeros(len(x), len(network.spec.outputs)).to(y)) @ share)

    def error(rows: Tensor, n: int) -> Tensor:
        nodes = rows
        for layer in network.layers:
            nodes = chunked(layer, nodes)
        found = [losses(output) for output in nodes.reshape(n, len(held), -1)]
        return torch.stack(found).nan_to_num(blind, blind) @ share

    first = error(x, 1)
    result = []
    for j in range(features.shape[1]):
        rows = x.repeat(draws, 1)
        rows[:, j] = torch.cat([drawn[held] for drawn in redrawn(features, j, draws, generator)])
        result.append(torch.cat([first, error(rows, draws)]))
    return torch.stack(result)


def redrawn(
    features: Float[Tensor, "batch feature"], j: int, n: int, generator: torch.Generator
) -> Iterator[Float[Tensor, " batch"]]:
    """Yields a feature n times with its values redrawn, see the module.

    Args:
        features: samples.
        j: which feature.
        n: how many times.
        generator: draws who takes whose value.

    Example:
        >>> x = torch.tensor([[0.0, 1.0], [1.0, 3.0], [2.0, 5.0]])
        >>> sorted(next(redrawn(x, 1, 1, torch.Generator().manual_seed(0))).tolist())
        [1.0, 3.0, 5.0]
    """
    own = features[:, j]
    others = torch.cat([features[:, :j], features[:, j + 1 :], torch.ones_like(features[:, :1])], 1)
    predicted = (others @ lstsq(others, own[:, None])).squeeze(1)
    rest = own - predicted
    # What other features determine entirely would never change; then each of them stands for all.
    if len(own) < 2 * others.shape[1] or float(rest.std()) <= TIED * float(own.std()):
        predicted, rest = torch.zeros_like(own), own
    low, high = own.amin(), own.amax()
    for _ in range(n):
        order = torch.randperm(len(own), generator=generator).to(own.device)
        yield (predicted + rest[order]).clamp(low, high)


def _judged(names: tuple[str, ...], errors: Float[Tensor, "fold feature trial"]) -> Relevance:
    from scipy.stats import t as student

    # Errors are compared by their ratio: they may be rounding without a feature and large with it. The mean of their
    # logarithms over folds keeps a network that got stuck from drowning the others.
    logs = errors.clamp_min(SMALLEST * max(float(errors.amax()), 1e-300)).log().mean(0)
    n_draws = logs.shape[1] - 1
    beyond = float(student.isf(CHANCE / len(names), n_draws - 1)) * sqrt(1 + 1 / n_draws)
    found = []
    for name, first, log, drawn in zip(names, logs[:, 0].exp().tolist(), logs[:, 0], logs[:, 1:]):
        growth, scatter = float(drawn.mean() - log), float(drawn.std())
        found.append((name, first * (exp(growth) - 1), first * (exp(beyond * scatter) - 1)))
    found.sort(key=lambda row: -row[1])
    return Relevance({name: score for name, score, _ in found}, {name: floor for name, _, floor in found})


@verb
def prune_irrelevant(
    model: AnyNetwork, data: Any = None, *, target: Columns | None = None, **options: Any
) -> AnyNetwork:
    """Returns the network that reads only features that score above their noise floor; see `relevance`.

    Args:
        model: left as it is.
        data: training samples with targets; by default those of the last fit.
        options: of `relevance`.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.
    """
    check_options("prune_irrelevant", options, relevance)
    samples = model.samples(data, "prune_irrelevant", needs_targets=True)
    with Interruptible():
        found = relevance(model, data, **options)
    return prune_input(model, samples, active=list(found.relevant or model.spec.features))


@verb
def feature_interaction(
    model: Network, data: Any = None, output: int = 0, *, target: Columns | None = None
) -> Float[Tensor, "input input"]:
    """Returns how strongly each pair of inputs acts together on an output; the diagonal holds curvatures.

    Args:
        model: the network.
        data: samples, see `MultKAN.samples`; by default those of the last fit.
        output: which output.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Example:
        >>> from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
        >>> factors = tuple(SymbolicTerm(i, i, "x") for i in range(2))
        >>> model = MultKAN.from_spec(NetworkSpec((LayerSpec(2, 0, (2,), (), factors),)))
        >>> x = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]], dtype=torch.float64)
        >>> feature_interaction(model, x).tolist()
        [[0.0, 1.0], [1.0, 0.0]]
    """
    options.network("feature_interaction", model)
    output = options.whole("feature_interaction", "output", output, 0, len(model.spec.outputs) - 1)
    x = finite_samples(model, data, "feature_interaction").double()
    with torch.no_grad():
        # Second derivatives have units of their own, which float32 may not hold.
        jet = copy.deepcopy(model).double().jet(x, order=2)
    spread = x.std(0, correction=0)
    assert jet.hessian is not None
    hessian = jet.hessian[:, output]
    scale = jet.value[:, output].std(correction=0).clamp_min(torch.finfo(x.dtype).tiny)
    return (hessian.square().mean(0).sqrt() * spread[:, None] * spread / scale).to(model.like)
