"""Features: the inputs and *auxiliary variables* that a network's first layer reads.

An auxiliary variable has a name and a definition, a formula in the inputs and in variables defined before it, such as
gamma = 1/sqrt(1 - (v/c)^2).

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.1.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kan2.core.spec import NetworkSpec
from kan2.core.theory import TheorySpec


def compute_features(
    x: Float[Tensor, "*batch input"],
    inputs: Sequence[str],
    auxiliary: Sequence[tuple[str, str]],
    features: Sequence[str],
    constants: Mapping[str, Tensor] = MappingProxyType({}),
) -> Float[Tensor, "*batch feature"]:
    """Returns the named inputs, auxiliary variables and constants, (1,) or (batch,), as columns."""
    columns = dict(zip(inputs, x.unbind(-1)))
    if auxiliary:
        from kan2.core.definitions import with_auxiliary  # and with it SymPy, which most networks do without

        columns = with_auxiliary(columns, auxiliary)
    columns = {**columns, **constants}
    return torch.stack([columns[name].expand(x.shape[:-1]) for name in features], -1)


def starting_constants(theory: TheorySpec, like: Tensor) -> nn.ParameterList:
    """Returns a tensor (level,) for each parameter of a theory, with the numbers at which a fit begins."""
    starts = ([one.start] * max(1, len(one.levels)) for one in theory.parameters)
    tensors = (torch.tensor(start, dtype=like.dtype, device=like.device) for start in starts)
    return nn.ParameterList(nn.Parameter(t, not one.fixed) for t, one in zip(tensors, theory.parameters))


def constant_features(
    x: Float[Tensor, "*batch input"], spec: NetworkSpec, constants: Iterable[Tensor]
) -> dict[str, Tensor]:
    """Returns the parameters of a theory by name: one number, or the number of its data set for each row."""
    found: dict[str, Tensor] = {}
    for one, values in zip(spec.theory.parameters if spec.theory else (), constants):
        if one.per and len(values) > 1:
            label = x[..., spec.inputs.index(one.per)].detach()
            found[one.name] = values[label.round().long().clamp(0, len(values) - 1)]
        else:
            found[one.name] = values[0]
    return found
