"""First and second derivatives against finite differences, without touching the global random state."""

from collections.abc import Callable

import torch


def check_gradients(f: Callable[..., torch.Tensor], *inputs: torch.Tensor, second: bool = True) -> None:
    """Asserts that gradients, and gradients of gradients, agree with differences."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        assert torch.autograd.gradcheck(f, inputs)
        assert not second or torch.autograd.gradgradcheck(f, inputs)
