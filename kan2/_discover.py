"""From data to a formula in one call.

What searches is imported when it is called, so that a misspelt option is refused at once.

Reference: Liu et al., KAN (arXiv 2404.19756), section 2.5.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kan2.errors import named_options

if TYPE_CHECKING:
    from kan2.discovery.progress import Progress
    from kan2.multkan import MultKAN


@named_options
def discover(
    data: Any,
    width: Sequence[int | Sequence[int]] | None = None,
    *,
    target: str | Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    mult_arity: int | Sequence[Sequence[int]] = 2,
    library: Sequence[str] | None = None,
    attempts: int = 5,
    grid: int = 5,
    steps: int = 40,
    seed: int = 0,
    seconds: float | None = None,
    progress: "Callable[[Progress], object] | None" = None,
    weight_simple: float | None = None,
    max_growth: float = 2.0,
    tries: int = 4,
    snap: bool = True,
    sample_weight: Any = None,
    accuracy: float = 0.0,
) -> "MultKAN":
    """Returns the network that is found to be the formula behind data; `symbolic_formula()` of it prints it.

    `report.found` of the result tells whether it succeeded by its own criterion, and `report.pareto` holds the networks
    of all attempts. What it does is logged to "kan2.discover".

    Args:
        data: (X, y), a Dataset (with auxiliary variables, if it was made by `augment`), a dict, or a table or the path
            of one, with `target`.
        width: the network to start from, with as many or more nodes than the formula needs; see `MultKAN`. By default
            one hidden layer of two sums and a product, or of one sum where there is one input.
        target: the column, or columns, of a table to explain; the others are inputs.
        names: the columns of a table to explain it by, in this order; by default all others that hold numbers.
        mult_arity: number of factors of products, see `MultKAN`.
        library: names of the functions to try; by default `functions.DEFAULT_LIBRARY`.
        attempts: largest number of random starts, >= 1.
        grid: number of grid intervals at the start.
        steps: training steps on each grid.
        seed: seed of the starts.
        seconds: limit of wall-clock time, >= 0, for the whole search; the best so far is returned. The result depends
            on the speed of the machine then. By default there is no limit.
        progress: called with a `Progress` at every stage of every attempt, and at what it ended with.
        weight_simple, max_growth, tries, snap, sample_weight, accuracy: as in `auto_symbolic`.

    Returns:
        the network. After Ctrl-C, or when time is over, the best of the attempts that had ended, or, in the first
        attempt, the network as far as it had come, maybe with splines; `report.interrupted`, or `report.out_of_time`,
        is true.

    Raises:
        OptionError: there is no such option.
        UnknownNameError: no such function in the library.
        TrainingError: no attempt could be trained, or the value of an option is of the wrong type or out of range.
        KeyboardInterrupt: Ctrl-C came before the first network was trained.

    Example:
        >>> from kan2 import sample_function
        >>> data = sample_function("x*y", {"x": (-1, 1), "y": (-1, 1)}, n=300)
        >>> discover(data, [2, [1, 1], 1]).symbolic_formula()
        x*y
    """
    from kan2._search import search

    return search(
        data,
        width,
        target=target,
        names=names,
        mult_arity=mult_arity,
        library=library,
        attempts=attempts,
        grid=grid,
        steps=steps,
        seed=seed,
        seconds=seconds,
        progress=progress,
        weight_simple=weight_simple,
        max_growth=max_growth,
        tries=tries,
        snap=snap,
        sample_weight=sample_weight,
        accuracy=accuracy,
    )
