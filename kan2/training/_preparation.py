"""What `fit` does before and after training: names, weights, targets, splits, and handing over the result."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from kan2.core.data import Columns, Dataset, as_dataset
from kan2.core.network import Network
from kan2.core.order import as_network
from kan2.core.tensors import is_default, open_table, to_tensor
from kan2.errors import DataError, ShapeError, TrainingError
from kan2.options import callables, flag, is_number, is_whole, listed, number, path, seed
from kan2.tables.frames import named_columns
from kan2.training.losses import CrossEntropy, Loss, SquaredError, class_targets

LARGEST_GRID = 100_000


def checked_grids(grids: Any) -> list[int] | None:
    """Returns the numbers of grid intervals to go through; None for None.

    Raises:
        TrainingError: one is no whole number of 1 or more, or there is none.
    """
    if grids is None:
        return None
    members = list(grids) if isinstance(grids, Iterable) and not isinstance(grids, str | bytes | Mapping) else []
    if not members or not all(is_whole(grid, 1, LARGEST_GRID) for grid in members):
        raise TrainingError(
            f"fit: expected grids as whole numbers >= 1, such as [5, 10], got {grids!r}. Leave grids out to keep "
            "those of the network."
        )
    return [int(grid) for grid in members]


def check_counts(**counts: Any) -> None:
    """Checks the options of `fit` that count something.

    Args:
        counts: by name.

    Raises:
        TrainingError: one is no whole number of 1 or more.
    """
    for name, value in counts.items():
        if not is_whole(value, 1):
            raise TrainingError(f"fit: expected {name} as a whole number >= 1, got {value!r}. Leave it out, or pass 1.")


def check_jobs(n_jobs: Any) -> None:
    """Checks the number of processes.

    Raises:
        TrainingError: it is neither None nor a whole number other than 0.
    """
    if n_jobs is None or (is_whole(n_jobs) and int(n_jobs) != 0):
        return
    raise TrainingError(
        f"fit: expected n_jobs as a number of processes, -1 for one on each core, got {n_jobs!r}. Leave it out for one."
    )


def check_strengths(**strengths: Any) -> None:
    """Checks the options of `fit` that weigh a term of the objective.

    Args:
        strengths: by name.

    Raises:
        TrainingError: one is no finite number of 0 or more.
    """
    for name, value in strengths.items():
        if not is_number(value) or float(value) < 0:
            raise TrainingError(
                f"fit: expected {name} as a finite number >= 0, got {value!r}. Pass 0 to switch it off."
            )


def check_the_rest(
    *, seed_: Any, lr: Any, validation: Any, callbacks: Any, checkpoint: Any, residual: Any, **flags: Any
) -> None:
    """Checks the options of `fit` that neither count nor weigh anything.

    Args:
        seed_: a seed.
        lr: a learning rate, or a map from the number of a step to it, or None.
        validation: a share of the samples, or samples, or None.
        callbacks: a list of functions.
        checkpoint: a path, or None.
        residual: a function, or None.
        flags: by name, what is True or False.

    Raises:
        TrainingError: one is of another type, or out of range.
        DataError: the share leaves no samples on one side.
    """
    seed("fit", seed_, error=TrainingError)
    for name, value in flags.items():
        flag("fit", name, value, error=TrainingError)
    if lr is not None and not callable(lr):
        remedy = "A function gives the rate of each step."
        number("fit", "lr", lr, 0, above=True, error=TrainingError, remedy=remedy)
    callables("fit", "callbacks", callbacks, error=TrainingError)
    if checkpoint is not None:
        path("fit", "checkpoint", checkpoint, error=TrainingError)
    if residual is not None and not callable(residual):
        raise TrainingError(f"fit: expected residual as a function of the network, got {type(residual).__name__}.")
    if (is_number(validation) or isinstance(validation, bool)) and not (
        is_number(validation) and 0 < float(validation) < 1
    ):
        raise DataError(
            f"fit: expected validation as a share of the samples between 0 and 1, or as (X, y), got {validation!r}."
        )


def checked_weights(residual_weights: Any) -> Any:
    """Returns the weights of the terms of a residual.

    Raises:
        TrainingError: they are no finite numbers of 0 or more, by name or in order.
    """
    if residual_weights is None:
        return None
    if isinstance(residual_weights, Mapping):
        values = list(residual_weights.values())
    else:
        values = listed("fit", "residual_weights", residual_weights, "numbers", "[1.0, 10.0]", error=TrainingError)
    for value in values:
        number("fit", "each of residual_weights", value, 0, error=TrainingError)
    return residual_weights


def training_data(model: Network, data: Any, target: Columns | None) -> Dataset:
    """Returns data for a training: of a table as a whole the columns of the network's names, or all of them."""
    if isinstance(data, Dataset | tuple | list) or (isinstance(data, dict) and "train_input" in data):
        return as_dataset(data, target=target)
    inputs, outputs = model.spec.inputs, model.spec.outputs
    table = open_table(data)
    names = None if is_default(inputs, "x") else inputs
    if target is None and set(outputs) <= set(named_columns(table) or ()):
        target = outputs
    return as_dataset(table, names, target)


def adopt_names(work: Network, data: Dataset) -> Dataset:
    """Gives a fresh network the names of the data; one that has names of its own keeps them.

    Returns:
        the data with the columns in the order of the network.

    Raises:
        ShapeError: the network reads another number of columns.
        UnknownNameError: a column of the network's names is missing.
    """
    spec = work.spec
    n_in = spec.layers[0].n_in
    data = as_network(data, spec.inputs, spec.outputs, "fit", strict=False)
    if data.auxiliary and spec.auxiliary != data.auxiliary:
        if n_in != len(data.feature_names):
            raise ShapeError(
                f"fit: expected a network that reads {len(data.feature_names)} features "
                f"({', '.join(data.feature_names)}), got one that reads {n_in}."
            )
        spec = replace(spec, inputs=data.inputs, features=data.feature_names, auxiliary=data.auxiliary)
        work.spec = spec
        return data
    if data.X.shape[1] != len(spec.inputs):
        raise ShapeError(
            f"fit: expected samples with {len(spec.inputs)} columns ({', '.join(spec.inputs)}), "
            f"got {data.X.shape[1]} ({', '.join(data.inputs)})."
        )
    if spec.features == spec.inputs and is_default(spec.inputs, "x"):
        spec = replace(spec, inputs=data.inputs, features=data.inputs)
    if len(data.outputs) == len(spec.outputs) and is_default(spec.outputs, "y"):
        spec = replace(spec, outputs=data.outputs)
    work.spec = spec
    return data


def weights(sample_weight: Any, data: Dataset) -> Tensor | None:
    """Returns checked sample weights, in float64, since weights of 1e-50 are as good as others.

    Raises:
        ShapeError: there is not one for each sample, one is negative or not finite, or all are zero.
    """
    if sample_weight is None:
        return None
    weight = to_tensor(sample_weight, "fit: sample_weight").detach().to(data.y.device, torch.float64)
    if weight.shape != (len(data),):
        raise ShapeError(
            f"fit: expected {len(data)} non-negative sample weights, one a sample, got shape {tuple(weight.shape)}."
        )
    wrong = ~torch.isfinite(weight) | (weight < 0)
    if bool(wrong.any()):
        raise ShapeError(
            f"fit: expected {len(data)} non-negative sample weights, got {int(wrong.sum())} that are negative or not "
            f"finite, the first {float(weight[wrong][0]):g}. Give samples that are not to count weight zero."
        )
    if not bool(weight.any()):
        raise ShapeError(
            f"fit: expected {len(data)} non-negative sample weights, got {len(data)} that are all zero. Give at least "
            "one sample a weight above zero."
        )
    return weight


def targets(y: Tensor, n_output: int, loss: Loss) -> Tensor:
    """Returns targets as the loss reads them."""
    if isinstance(loss, CrossEntropy):
        return class_targets(y, n_output)
    if y.shape[1] != n_output and isinstance(loss, SquaredError):
        raise ShapeError(f"fit: expected targets with {n_output} columns, got {y.shape[1]}.")
    return y


def split(
    samples: tuple[Tensor, Tensor, Tensor | None], validation: Any, seed: int, like: Dataset
) -> tuple[tuple[Tensor, Tensor, Tensor | None], tuple[Tensor, Tensor, Tensor | None] | None]:
    """Returns training samples and validation samples with their weights: given ones, or a random share."""
    X, y, weight = samples
    if validation is None:
        return samples, None
    if not is_number(validation):
        held = beside(validation, like).to(X)
        return samples, (held.X, held.y, None)
    n_held = round(validation * len(X))
    if not 0 < n_held < len(X):
        raise DataError(f"fit: expected validation to leave samples on both sides, got {validation} of {len(X)}.")
    order = torch.randperm(len(X), generator=torch.Generator().manual_seed(seed)).to(X.device)
    train, out = (
        (X[i], y[i], None if weight is None else weight[i])
        for i in (order[n_held:].sort().values, order[:n_held].sort().values)
    )
    return train, out


def beside(data: Any, like: Dataset) -> Dataset:
    """Returns test or validation data with the columns of the training data."""
    if isinstance(data, Dataset | tuple | list) or (isinstance(data, dict) and "train_input" in data):
        held = as_network(as_dataset(data), like.inputs, like.outputs, "fit", strict=True)
    else:
        held = as_dataset(data, like.inputs, like.outputs)
    if held.X.shape[1] != like.X.shape[1] or held.y.shape[1] != like.y.shape[1]:
        raise ShapeError(
            f"fit: expected test or validation data with {like.X.shape[1]} inputs and {like.y.shape[1]} outputs like "
            f"the training data, got {held.X.shape[1]} and {held.y.shape[1]}."
        )
    return held


def read_loader(loader: DataLoader) -> tuple[Tensor, Tensor]:
    """Returns all samples of a DataLoader.

    Raises:
        DataError: a batch is no pair of tensors with the same number of rows, batches differ in their columns, or there
            is none.
    """

    def refusal(got: str) -> DataError:
        return DataError(
            f"fit: expected a DataLoader of batches (X, y), two tensors with a sample in each row, got {got}. Make one "
            "of TensorDataset(X, y), or pass (X, y)."
        )

    # Making an iterator draws from torch's global generator, which is not ours to move.
    with torch.random.fork_rng(devices=[]):
        batches = list(loader)
    for batch in batches:
        # Not by unpacking: a tensor of two rows, a text and a dict would come apart as well.
        if not isinstance(batch, tuple | list):
            is_tensor = isinstance(batch, Tensor)
            raise refusal("batches of X alone" if is_tensor else f"a batch of type {type(batch).__name__}")
        if len(batch) != 2:
            raise refusal(f"a batch of {len(batch)} members")
        kinds = [type(part).__name__ for part in batch if not isinstance(part, Tensor)]
        if kinds:
            raise refusal(f"a batch with a {kinds[0]} in it")
        shapes = [tuple(part.shape) for part in batch]
        if not all(shapes) or shapes[0][0] != shapes[1][0]:
            raise refusal(f"a batch of shapes {shapes[0]} and {shapes[1]}")
        if [part.shape[1:] for part in batch] != [part.shape[1:] for part in batches[0]]:
            raise refusal(f"batches of other columns than the first, {shapes[0]} and {shapes[1]}")
    if not batches:
        raise refusal("none")
    return torch.cat([x for x, _ in batches]), torch.cat([y for _, y in batches])


def commit(model: Network, work: Network) -> None:
    """Hands the trained numbers, grids and names to the caller's network, all of them or none.

    Args:
        model: the caller's network.
        work: the trained one, of the same type.
    """
    try:
        _hand_over(model, work)
    except KeyboardInterrupt:
        # Half of it would be no network.
        _hand_over(model, work)
        raise


def _hand_over(model: Network, work: Network) -> None:
    old, new = model.state_dict(), work.state_dict()
    if {k: v.shape for k, v in old.items()} == {k: v.shape for k, v in new.items()}:
        # Same tensors, new values: optimisers and other references to the parameters stay valid.
        model.load_state_dict(new)
        for mine, theirs in zip(model.layers, work.layers):
            mine.spec = theirs.spec
    else:
        model.layers = work.layers
    model.spec = work.spec
    model.is_fresh, model.smoothing = False, work.smoothing
