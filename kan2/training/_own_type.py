"""What a network trained in float64 becomes in its own type, and what it then returns.

Training runs in float64. A network of a smaller type keeps fewer digits: the last row of the history says what it
returns, not what its copy of more digits did.
"""

import copy
from math import sqrt

import torch
from jaxtyping import Float
from torch import Tensor

from kan2.core.layer import chunked
from kan2.core.network import Network
from kan2.errors import TrainingError
from kan2.training.loop import Training
from kan2.training.losses import SquaredError
from kan2.training.parameters import ParameterVector


def in_own_type(work: Network, dtype: torch.dtype) -> Network:
    """Returns a trained network in another type; itself where that is its own.

    Args:
        work: trained, of type float64; left as it is.
        dtype: the type of the caller's network.

    Raises:
        TrainingError: a number of it is too large for the type.
    """
    if work.like.dtype == dtype:
        return work
    kept = copy.deepcopy(work).to(dtype)
    before = work.state_dict()
    for name, values in kept.state_dict().items():
        if bad := int((~torch.isfinite(values) & torch.isfinite(before[name])).sum()):
            raise _too_large(dtype, f"{bad} larger ones in {name}, up to {float(before[name].abs().max()):.3g}")
    return kept


@torch.no_grad()
def report_kept(
    run: Training,
    kept: Network,
    x: Float[Tensor, "batch input"],
    held_out: Float[Tensor, "held input"] | None,
) -> None:
    """Puts into the last row of a run what the network returns in its own type.

    Args:
        run: has ended.
        kept: the network in its own type.
        x: training samples.
        held_out: samples that were held out for validation, if any.

    Raises:
        TrainingError: it returns nan or infinity where the network of more digits does not.
    """
    row, problem, test = run.history.rows[-1], run.problem, run.recorder.test
    output = _outputs(kept, x, run)
    loss = float(problem.mean_loss(output))
    row["loss"] = loss + row["penalty"]
    if isinstance(problem.loss, SquaredError):
        squares = problem.loss.squares(output, problem.y)
        row["rmse"] = problem.loss.root(squares.mean(0) if problem.share is None else problem.share @ squares)
    if held_out is not None and run.recorder.validation is not None:
        row["val_loss"] = float(run.recorder.validation.mean_loss(_outputs(kept, held_out, run)))
    if row["test_rmse"] is not None and test is not None and test.X_test is not None:
        difference = kept(test.X_test).double() - test.y_test
        row["test_rmse"] = sqrt(float(difference.square().mean()))


@torch.no_grad()
def report_kept_residual(run: Training, kept: Network) -> None:
    """Puts into the last row of a run the residual of the network with the digits that its own type keeps.

    The residual is evaluated in float64, as in training, since its points may be of that type alone.

    Args:
        run: has ended.
        kept: the network in its own type.
    """
    row, loss = run.history.rows[-1], run.problem.evaluate(ParameterVector(copy.deepcopy(kept).double())).loss
    row["loss"], row["rmse"] = loss + row["penalty"], sqrt(loss)


def _outputs(kept: Network, x: Tensor, run: Training) -> Tensor:
    nodes = kept.features(x)
    for layer in kept.layers:
        nodes = chunked(layer, nodes)
    if bad := int((~torch.isfinite(nodes)).any(1).sum()):
        exact = run.work(x)
        if bool(torch.isfinite(exact).all()):
            raise _too_large(
                kept.like.dtype, f"nan or infinity in what the network returns on {bad} of {len(x)} samples"
            )
    return nodes.double()


def _too_large(dtype: torch.dtype, got: str) -> TrainingError:
    name, largest = str(dtype).removeprefix("torch."), torch.finfo(dtype).max
    return TrainingError(
        f"fit: expected numbers that fit into {name}, up to {largest:.3g}, got {got}. Make the network of dtype "
        "torch.float64, or scale inputs and targets to unit size."
    )
