"""KANConv2d against a loop over pixels, and its arguments against those of nn.Conv2d."""

import pytest
import torch
from reference.gradients import check_gradients
from torch import nn

from kan2 import KANConv2d
from kan2.errors import ShapeError, SpecError


def make(*args, **options) -> KANConv2d:
    return KANConv2d(*args, generator=torch.Generator().manual_seed(0), dtype=torch.float64, **options)


ARGUMENTS = [
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "stride": (2, 1), "padding": (1, 0)},
    {"kernel_size": 3, "dilation": 2, "padding": 2},
    {"kernel_size": (4, 3), "padding": "same"},
    {"kernel_size": (3, 2), "padding": "same", "dilation": (2, 3)},
    {"kernel_size": 2, "padding": "valid", "groups": 2},
    {"kernel_size": 3, "padding": 1, "padding_mode": "circular"},
    {"kernel_size": 3, "padding": 1, "padding_mode": "reflect", "stride": 2},
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("options", ARGUMENTS)
def test_shapes_and_positions_are_those_of_conv2d(options, generator):
    conv = make(2, 4, base_fun="identity", **options)
    with torch.random.fork_rng(devices=[]):
        linear = nn.Conv2d(2, 4, bias=False, dtype=torch.float64, **options)
    # With the identity as base function and no spline it is a convolution, so nn.Conv2d is the reference.
    with torch.no_grad():
        for i, layer in enumerate(conv.layers):
            layer.numeric.weight[..., 1:] = 0
            size = 4 // conv.groups
            layer.numeric.weight[..., 0] = linear.weight[i * size : (i + 1) * size].flatten(1)
    x = torch.randn(3, 2, 9, 8, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(conv(x), linear(x))
    torch.testing.assert_close(conv(x[0]), linear(x[0]))


def test_equals_a_loop_over_pixels(generator):
    conv = make(2, 3, 2)
    x = torch.randn(2, 2, 4, 5, generator=generator, dtype=torch.float64)
    y = conv(x)
    for i in range(3):
        for j in range(4):
            patch = x[:, :, i : i + 2, j : j + 2].flatten(1)
            torch.testing.assert_close(y[:, :, i, j], conv.layers[0](patch))


def test_gradients():
    conv = make(1, 2, 2, grid=3)
    check_gradients(conv, torch.linspace(-0.93, 0.87, 9, dtype=torch.float64).view(1, 1, 3, 3).requires_grad_())


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 0},
        {"kernel_size": (1, 2, 3)},
        {"kernel_size": 3, "stride": 0},
        {"kernel_size": 3, "padding": -1},
        {"kernel_size": 3, "padding": "full"},
        {"kernel_size": 3, "padding": "same", "stride": 2},
        {"kernel_size": 3, "groups": 3},
        {"kernel_size": 3, "padding_mode": "mirror"},
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_arguments_are_refused(options):
    with pytest.raises(SpecError, match="KANConv2d: expected"):
        make(2, 4, **options)


@pytest.mark.parametrize("shape", [(1, 3, 8, 8), (8, 8), (1, 2, 2, 8)])
@pytest.mark.usefixtures("unchecked")
def test_bad_images_are_refused(shape):
    with pytest.raises(ShapeError, match="KANConv2d: expected"):
        make(2, 4, 3)(torch.zeros(shape, dtype=torch.float64))
