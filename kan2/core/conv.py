"""Convolution with learnable functions in place of weights.

Every entry of the receptive field of an output pixel is a source node of one `KANLayer`, which is applied at every
position: out[o, i, j] = sum over channels c and offsets (m, n) of phi[o, c, m, n](x[c, i + m, j + n]).

Reference: Bodner et al., Convolutional Kolmogorov-Arnold Networks (arXiv 2406.13155).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from kan2.core.layer import KANLayer
from kan2.errors import ShapeError, SpecError, check_options, named_options
from kan2.options import LARGEST_LAYER, is_whole, size

PADDING_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


class KANConv2d(nn.Module):
    """A layer with the arguments and shapes of `nn.Conv2d`; there is no bias, the functions contain it.

    Args:
        in_channels: channels of the input, divisible by groups.
        out_channels: channels of the output, divisible by groups.
        kernel_size: height and width of the receptive field; one number stands for both, here and below.
        stride: steps between output pixels.
        padding: pixels added on each side, or "same" (stride 1 only) or "valid".
        dilation: distance between the pixels of the receptive field.
        groups: number of blocks of channels that do not mix.
        padding_mode: "zeros", "reflect", "replicate" or "circular".
        options: passed on to `KANLayer`: grid, k, base_fun, basis, grid_range, noise_scale, outside, generator,
            dtype, device.

    Raises:
        SpecError: sizes are out of range or do not fit each other.

    Example:
        >>> conv = KANConv2d(3, 8, 3, padding=1, generator=torch.Generator().manual_seed(0))
        >>> conv(torch.zeros(2, 3, 16, 16)).shape
        torch.Size([2, 8, 16, 16])
    """

    @named_options
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        padding_mode: str = "zeros",
        **options: Any,
    ) -> None:
        super().__init__()
        check_options("KANConv2d", options, KANLayer)
        sizes = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
        for name, value in sizes.items():
            sizes[name] = size("KANConv2d", name, value, 1, LARGEST_LAYER, error=SpecError)
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups = sizes.values()
        self.kernel_size = _pair("kernel_size", kernel_size, 1)
        self.stride, self.dilation = _pair("stride", stride, 1), _pair("dilation", dilation, 1)
        if groups < 1 or in_channels % groups or out_channels % groups:
            raise SpecError(
                f"KANConv2d: expected channels divisible by groups, got {in_channels} in, {out_channels} out, "
                f"groups={groups}."
            )
        if not isinstance(padding_mode, str) or padding_mode not in PADDING_MODES:
            raise SpecError(
                f"KANConv2d: expected a padding_mode among {', '.join(PADDING_MODES)}, got {padding_mode!r}."
            )
        self.padding_mode = padding_mode
        self.margins = self._margins(padding)
        sources = in_channels // groups * self.kernel_size[0] * self.kernel_size[1]
        self.layers = nn.ModuleList(KANLayer(sources, out_channels // groups, **options) for _ in range(groups))

    def _margins(self, padding: int | tuple[int, int] | str) -> tuple[int, int, int, int]:
        # left, right, top, bottom
        if isinstance(padding, str) and padding == "valid":
            return 0, 0, 0, 0
        if isinstance(padding, str) and padding == "same":
            if self.stride != (1, 1):
                raise SpecError(f"KANConv2d: expected stride 1 with padding='same', got {self.stride}.")
            height, width = (d * (n - 1) for d, n in zip(self.dilation, self.kernel_size, strict=True))
            return width // 2, width - width // 2, height // 2, height - height // 2
        if isinstance(padding, str):
            raise SpecError(f"KANConv2d: expected a padding of 'same', 'valid' or numbers, got {padding!r}.")
        height, width = _pair("padding", padding, 0)
        return width, width, height, height

    def extra_repr(self) -> str:
        return (
            f"{self.in_channels} -> {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"margins={self.margins}, dilation={self.dilation}, groups={self.groups}"
        )

    def forward(self, x: Float[Tensor, "*batch channel height width"]) -> Float[Tensor, "*batch out height2 width2"]:
        if x.ndim not in (3, 4) or x.shape[-3] != self.in_channels:
            raise ShapeError(
                f"KANConv2d: expected (batch, {self.in_channels}, height, width) or without batch, "
                f"got shape {tuple(x.shape)}."
            )
        images = x if x.ndim == 4 else x[None]
        if any(self.margins):
            images = F.pad(images, self.margins, mode=PADDING_MODES[self.padding_mode])
        size = [
            (n - d * (k - 1) - 1) // s + 1
            for n, d, k, s in zip(images.shape[2:], self.dilation, self.kernel_size, self.stride, strict=True)
        ]
        if min(size) < 1:
            raise ShapeError(
                f"KANConv2d: expected an image at least as large as the kernel, got shape {tuple(x.shape)}."
            )
        patches = F.unfold(images, self.kernel_size, dilation=self.dilation, stride=self.stride).transpose(1, 2)
        parts = [layer(part) for layer, part in zip(self.layers, patches.chunk(self.groups, -1), strict=True)]
        output = torch.cat(parts, -1).transpose(1, 2).unflatten(-1, size)
        return output if x.ndim == 4 else output[0]


def _pair(name: str, value: int | tuple[int, int], smallest: int) -> tuple[int, int]:
    pair = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(pair) == 2 and all(is_whole(n, smallest) for n in pair):
        for n in pair:
            size("KANConv2d", name, n, smallest, LARGEST_LAYER, error=SpecError)
    else:
        raise SpecError(f"KANConv2d: expected {name} of one or two integers >= {smallest}, got {value!r}.")
    return int(pair[0]), int(pair[1])
