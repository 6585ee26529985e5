"""Functions that several studies and benchmarks learn; `kan2.datasets` has them.

Reference: Liu et al., KAN (arXiv 2404.19756), sections 3.1 and 4.
"""

from kan2.datasets.functions import FUNCTIONS
from kan2.datasets.functions import bessel as bessel
from kan2.datasets.functions import box as box
from kan2.datasets.functions import exp_of_bessel as exp_of_bessel
from kan2.datasets.functions import exp_of_sine as exp_of_sine
from kan2.datasets.functions import hundred as hundred
from kan2.datasets.functions import three_layers as three_layers


def law(name: str) -> tuple[str, dict[str, tuple[float, float]]]:
    """Returns the formula of a function of `kan2.datasets` and the ranges of its variables.

    Example:
        >>> law("kan1/product")
        ('x*y', {'x': (-1, 1), 'y': (-1, 1)})
    """
    function = FUNCTIONS[name]
    return function.formula, function.ranges
