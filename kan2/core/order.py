"""The columns of data in the order of a network, by their names."""

from collections.abc import Sequence
from dataclasses import replace

from kan2.core.data import Dataset
from kan2.core.tensors import is_default, missing_column
from kan2.errors import ShapeError


def in_order(data: Dataset, inputs: Sequence[str], where: str) -> Dataset:
    """Returns data with the named inputs alone, in this order; data without names of their own are left as they are.

    Args:
        data: the data.
        inputs: names, such as those of a network's inputs.
        where: name of the verb, for messages.

    Raises:
        UnknownNameError: a column is missing.

    Example:
        >>> data = Dataset.of({"a": [1.0], "b": [2.0], "c": [3.0], "y": [0.0]}, target="y")
        >>> in_order(data, ["c", "a"], "predict").X.tolist()
        [[3.0, 1.0]]
    """
    if data.inputs == tuple(inputs) or not data.has_names:
        return data
    for name in inputs:
        if name not in data.inputs:
            raise missing_column(where, name, inputs, data.inputs)
    order = [data.inputs.index(name) for name in inputs]
    definitions = data.auxiliary if len(order) == len(data.inputs) else ()
    test = None if data.X_test is None else data.X_test[:, order]
    return replace(data, X=data.X[:, order], inputs=tuple(inputs), auxiliary=definitions, X_test=test)


def outputs_in_order(data: Dataset, outputs: Sequence[str], where: str) -> Dataset:
    """Returns data with several targets in the order of a network's outputs.

    One target goes by position whatever it is called, and so do several where they or the outputs have no names.

    Raises:
        ShapeError: some of several targets are called as outputs are, and others are not.

    Example:
        >>> data = Dataset.of({"a": [1.0], "u": [2.0], "v": [3.0]}, ["a"], ["u", "v"])
        >>> outputs_in_order(data, ["v", "u"], "fit").y.tolist()
        [[3.0, 2.0]]
    """
    there, wanted = data.outputs, tuple(outputs)
    if len(there) < 2 or there == wanted or not set(there) & set(wanted):
        return data
    if set(there) != set(wanted):
        raise ShapeError(
            f"{where}: expected the targets {', '.join(wanted)}, got {', '.join(there)}. Name all of them as the "
            "outputs of the network, or pass an array to go by position."
        )
    order = [there.index(name) for name in wanted]
    test = None if data.y_test is None else data.y_test[:, order]
    return replace(data, y=data.y[:, order], outputs=wanted, y_test=test)


def as_network(data: Dataset, inputs: Sequence[str], outputs: Sequence[str], where: str, *, strict: bool) -> Dataset:
    """Returns data in the order of a network's inputs and outputs.

    Args:
        data: the data.
        inputs: names of the network's inputs.
        outputs: names of its outputs.
        where: name of the verb, for messages.
        strict: refuse other names also where the network has none of its own, as one that was trained on arrays.

    Raises:
        UnknownNameError: a column is missing.
        ShapeError: targets are called otherwise than the outputs.
    """
    is_there = set(inputs) <= set(data.inputs)
    if is_there or strict or not is_default(inputs, "x"):
        data = in_order(data, inputs, where)
    return outputs_in_order(data, outputs, where)
