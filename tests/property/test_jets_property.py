"""Jets of random networks equal automatic differentiation, in every order and on every kind of edge."""

import pytest
import torch
from hypothesis import given, settings
from strategies import networks, samples
from torch.func import jacrev, vmap

from kan2.core.jets import directional, jet, laplacian


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    b = b.detach()
    torch.testing.assert_close(a.detach(), b, rtol=1e-9, atol=1e-10 * max(1.0, float(b.abs().max())))


@pytest.mark.slow
@settings(max_examples=20)
@given(model=networks(max_layers=2, max_outputs=2))
def test_jets_equal_automatic_differentiation(model):
    x = samples(model)[:4]
    derivative = lambda p: model(p[None])[0]  # noqa: E731
    found = jet(model, x, order=3)
    close(found.value, model(x))
    for got in (found.gradient, found.hessian, found.third):
        derivative = jacrev(derivative)
        close(got, vmap(derivative)(x))
    for mine, wanted in zip(
        (jet(model, x, order=2).hessian, jet(model, x, order=2).gradient), (found.hessian, found.gradient), strict=True
    ):
        close(mine, wanted)
    close(laplacian(model, x), found.hessian.diagonal(dim1=-2, dim2=-1).sum(-1))
    v = torch.linspace(-1, 1, x.shape[1], dtype=x.dtype)
    along = directional(model, x, v, 3)
    close(along.gradient[..., 0], torch.einsum("boi,i->bo", found.gradient, v))
    close(along.hessian[..., 0, 0], torch.einsum("boij,i,j->bo", found.hessian, v, v))
    close(along.third[..., 0, 0, 0], torch.einsum("boijk,i,j,k->bo", found.third, v, v, v))
