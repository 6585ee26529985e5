"""Features: the inputs and *auxiliary variables* that a network's first layer reads.

An auxiliary variable has a name and a definition, a formula in the inputs and in variables defined before it, such as
gamma = 1/sqrt(1 - (v/c)^2).

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.1.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def compute_features(
    x: Float[Tensor, "*batch input"],
    inputs: Sequence[str],
    auxiliary: Sequence[tuple[str, str]],
    features: Sequence[str],
) -> Float[Tensor, "*batch feature"]:
    """Returns the named inputs and auxiliary variables as columns."""
    columns = dict(zip(inputs, x.unbind(-1)))
    if auxiliary:
        from kan2.core.definitions import with_auxiliary  # and with it SymPy, which most networks do without

        columns = with_auxiliary(columns, auxiliary)
    return torch.stack([columns[name].expand(x.shape[:-1]) for name in features], -1)
