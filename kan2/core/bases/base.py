"""What every basis of numeric activations offers.

A basis holds the *grid* of every source: G + 1 increasing points whose ends are the range on which the functions are
meant to be used. It evaluates its functions and their derivatives of any order, and carries coefficients over to
another basis. A new basis is one file with one class that fills in `n_basis` and `forward`.

Beside the grid it holds the *home* of every source, see `coordinate`.

Reference: Boyd, Chebyshev and Fourier Spectral Methods (2001), chapter 3.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any, Self, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import forward_ad

from kan2.core.bases.coordinate import Coordinate, check_home
from kan2.core.linalg import lstsq
from kan2.errors import SpecError

try:
    from torch._C import _are_functorch_transforms_active as _in_functorch
except ImportError:  # a torch without this check: take the plain evaluation, which works everywhere

    def _in_functorch() -> bool:
        return True


def in_transform() -> bool:
    """Says whether torch.func transforms the code that runs, tangents travel with tensors, or `torch.jit` traces."""
    has_tangents = getattr(forward_ad, "_current_level", 0) >= 0
    return _in_functorch() or has_tangents or torch.jit.is_tracing()  # type: ignore[reportPrivateImportUsage]


Kept = TypeVar("Kept")
LARGEST_MATRIX = 2**32  # numbers, 34 GB: 10,000 intervals for 5 sources, 2,000 for 130, 100 for 50,000


def may_look(x: Tensor) -> bool:
    """Says whether the numbers in x may decide what is done: they are on the CPU, and torch neither traces nor maps."""
    return x.is_cpu and not torch.compiler.is_compiling() and not in_transform()


def has_numbers(x: Tensor) -> bool:
    """Says whether there are numbers in x that can be checked: on the meta device there are shapes alone."""
    return x.device.type != "meta"


def _is_increasing(grid: Tensor) -> bool:
    return bool(torch.isfinite(grid).all()) and bool((grid.diff() > 0).all())


def may_cast(x: Tensor) -> bool:
    """Says whether autocast may change types on the device of x."""
    place = x.device.type
    return place != "meta" and torch.is_autocast_enabled(place)  # the meta device has no autocast


class Basis(nn.Module):
    """The functions of all source nodes of a layer.

    Args:
        grid: (source, G + 1) strictly increasing grid points, G >= 1.
        k: polynomial order of splines, 0 to 5; other bases read it as that many functions more.
        home: (source, 2) the range that the base function sees as -1 to 1; by default -1 to 1.

    Attributes:
        needs_uniform_grid: whether only the ends of the grid and the number of its points matter.

    Raises:
        SpecError: the grid is not finite and increasing, k is out of range, or a home is no interval.
    """

    grid: Float[Tensor, "source points"]
    home: Float[Tensor, "source 2"]
    needs_uniform_grid = True

    def __init__(
        self,
        grid: Float[Tensor, "source points"],
        k: int = 3,
        home: Float[Tensor, "source 2"] | None = None,
    ) -> None:
        super().__init__()
        where = type(self).__name__
        if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k <= 5:
            raise SpecError(f"{where}: expected an order k between 0 and 5, got {k!r}.")
        if grid.ndim != 2 or grid.shape[1] < 2 or (has_numbers(grid) and not _is_increasing(grid)):
            raise SpecError(
                f"{where}: expected finite, strictly increasing grid points for each source, at least two, "
                f"got shape {tuple(grid.shape)}."
            )
        if home is None:
            home = torch.stack([-torch.ones_like(grid[:, 0]), torch.ones_like(grid[:, 0])], 1)
        else:
            check_home(home, len(grid), where)
        self.k = k
        self._memo: dict[Hashable, tuple[tuple[Tensor, ...], tuple[int | None, ...], Any]] = {}
        self.register_buffer("grid", grid.detach().clone())
        self.register_buffer("home", home.detach().to(self.grid).clone())

    @property
    def n_source(self) -> int:
        """Number of source nodes."""
        return self.grid.shape[0]

    @property
    def n_intervals(self) -> int:
        """Number of grid intervals G."""
        return self.grid.shape[1] - 1

    @property
    def n_basis(self) -> int:
        """Number of functions a source."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        return f"source={self.n_source}, grid={self.n_intervals}, k={self.k}"

    def forward(self, x: Float[Tensor, "batch source"], order: int = 0) -> Float[Tensor, "batch source basis"]:
        """Evaluates all functions, or a derivative of them, at x.

        Args:
            x: points; anything finite. A point that is not a number gives values that are not numbers.
            order: which derivative with respect to x, 0 or more.
        """
        raise NotImplementedError

    def set_home_(self, low: Float[Tensor, " source"], high: Float[Tensor, " source"]) -> None:
        """Sets the range that the base function sees as -1 to 1, in place; coefficients know nothing of it.

        Raises:
            SpecError: not one finite low < high for each source.
        """
        same = low.ndim == high.ndim == 1 and low.shape == high.shape
        home = torch.stack([low, high], 1).to(self.home) if same else low
        check_home(home, self.n_source, type(self).__name__)
        self.home.copy_(home)

    def coordinate(self) -> Coordinate:
        """Returns where the base function is evaluated."""
        return self.remember("coordinate", self._coordinate, self.grid, self.home)

    def _coordinate(self) -> Coordinate:
        low, high = self.home.unbind(1)
        centre, factor = low / 2 + high / 2, 2 / (high - low)
        is_plain = may_look(centre) and bool(((centre == 0) & (factor == 1)).all())
        return Coordinate(centre, factor, self.grid[:, 0].contiguous(), self.grid[:, -1].contiguous(), is_plain)

    def remember(self, name: Hashable, compute: Callable[[], Kept], *buffers: Tensor) -> Kept:
        """Returns what compute makes of these buffers, kept as long as they are the same tensors of the same content.

        For numbers that every step asks for several times.
        """
        if torch.compiler.is_compiling() or in_transform():
            return compute()
        kept = self._memo.get(name)
        if kept is not None:
            for buffer, old, version in zip(buffers, kept[0], kept[1]):
                if buffer is not old or version is None or buffer._version != version:
                    break
            else:
                return kept[2]
        # What has no version is never the same.
        versions = tuple(None if b.is_inference() else b._version for b in buffers)
        with torch.inference_mode(False):  # else gradients could not pass through it later on
            value = compute()
        self._memo[name] = (buffers, versions, value)
        return value

    def __getstate__(self) -> dict[str, Any]:
        # A copy has buffers of its own, whose versions say nothing about what is kept here.
        return {**self.__dict__, "_memo": {}}

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args)
        grid, errors = state_dict.get(f"{prefix}grid"), args[-1]
        if grid is not None and grid.ndim == 2 and len(grid) == self.n_source and grid.shape != self.grid.shape:
            n = grid.shape[1] - 1
            errors.append(
                f"{prefix}grid: expected {self.n_intervals} intervals, got {n}. Build the model with grid={n}, or move "
                f"it there first: layer.set_basis_(replace(layer.spec.basis, grid={n})), model = model.refine({n})."
            )

    def _unit(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # x on a scale where the range of every source is 0 to 1, and the factor of that scale.
        low = self.grid[:, 0]
        factor = 1 / (self.grid[:, -1] - low)
        return (x - low) * factor, factor

    def collocation(self, points: Float[Tensor, "batch source"]) -> Float[Tensor, "source batch basis"]:
        """Returns the basis as one matrix a source, for least squares.

        Raises:
            SpecError: the matrices have more numbers than any memory holds.
        """
        n_numbers = points.numel() * self.n_basis
        if n_numbers > LARGEST_MATRIX:
            raise SpecError(
                f"{type(self).__name__}: expected a coarser grid, got {self.n_intervals:,} intervals: to carry "
                f"functions over between grids takes matrices of {n_numbers:,} numbers. Pass grid=1000 or less."
            )
        return self(points).transpose(0, 1)

    def refined(self, n_intervals: int, k: int | None = None) -> Self:
        """Returns a basis on the same range whose points divide, or thin out, the points of this grid evenly.

        Where n_intervals is a multiple of the present number, every old point is a point of the new grid.
        """
        rank = torch.arange(n_intervals + 1, dtype=self.grid.dtype, device=self.grid.device)
        rank = rank * self.n_intervals / n_intervals
        left = rank.floor().long().clamp(max=self.n_intervals - 1)
        grid = self.grid[:, left] + (rank - left) * (self.grid[:, left + 1] - self.grid[:, left])
        grid[:, -1] = self.grid[:, -1]
        return type(self)(grid, self.k if k is None else k, self.home)

    def on_grid(self, grid: Float[Tensor, "source points"]) -> Self:
        """Returns a basis of the same kind, order and homes on another grid."""
        return type(self)(grid, self.k, self.home)

    def select(self, sources: Sequence[int]) -> Self:
        """Returns the basis of these sources, in this order; a source may be listed several times."""
        chosen = list(sources)
        return type(self)(self.grid[chosen], self.k, self.home[chosen])

    def transfer_to(self, other: "Basis") -> Float[Tensor, "source new old"]:
        """Returns the matrices that turn coefficients of this basis into coefficients of another one.

        The transfer is exact where the other basis can represent every function of this one on its range, such as
        splines whose grid contains every point of this grid; otherwise it is the least-squares fit on a dense set of
        points over the range of the other grid.
        """
        points = other.dense_points(self.n_basis)
        return lstsq(other.collocation(points), self.collocation(points))

    def dense_points(self, n_other: int = 1) -> Float[Tensor, "batch source"]:
        """Returns points over the range of the grid, enough to tell functions of this basis and n_other more apart."""
        n = max(8 * self.n_basis, 8 * n_other, 64)
        low, high = self.grid[:, :1], self.grid[:, -1:]
        # Chebyshev points: dense at the ends, where the boundary functions are small.
        t = (1 - torch.cos(torch.linspace(0, torch.pi, n, dtype=low.dtype, device=low.device))) / 2
        return (low + (high - low) * t).T


def uniform_grid(
    low: Float[Tensor, " source"], high: Float[Tensor, " source"], n_intervals: int
) -> Float[Tensor, "source points"]:
    """Returns n_intervals equal intervals from low to high for each source."""
    steps = torch.arange(n_intervals + 1, dtype=low.dtype, device=low.device) / n_intervals
    grid = low[:, None] + (high - low)[:, None] * steps
    grid[:, -1] = high
    return grid
