"""Logits of three or more classes are determined up to a function that all of them share; here it is taken out.

Only differences of logits matter to the cross-entropy, so training leaves in each of them what it likes of a common
part. Whoever looks at single edges, to drop them or to name their functions, must not mistake it for something learned.
"""

import copy

import torch

from kan2.core.network import AnyNetwork


@torch.no_grad()
def without_common_part(model: AnyNetwork) -> AnyNetwork:
    """Returns the network whose splines into the outputs sum to zero over the outputs, as far as each output has them.

    Args:
        model: left as it is; its outputs are logits, one a class.

    Example:
        >>> from kan2 import MultKAN
        >>> model, x = MultKAN([2, 3], seed=1), torch.rand(5, 2, generator=torch.Generator().manual_seed(0))
        >>> new = without_common_part(model)
        >>> bool(new(x).sum(1).abs().max() < 1e-12), torch.allclose(new(x).softmax(1), model(x).softmax(1))
        (True, True)
    """
    new = copy.deepcopy(model).inherit_(model)
    last = new.layers[-1]
    scale = last.subnode_scale * last.node_scale if not last.spec.arities else None
    if scale is None or last.numeric is None or not bool((scale == scale[0]).all()):
        return new
    pairs, n_out = set(last.spec.numeric_pairs), last.spec.n_out
    shared = [s for s in range(last.spec.n_in) if all((target, s) in pairs for target in range(n_out))]
    weight = last.numeric.weight
    weight[:, shared] -= weight[:, shared].mean(0)
    return new
