"""How networks are written on the command line: their hidden layers, as `5`, `2+1` or `5,2+1`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kan2.cli._errors import Refusal

if TYPE_CHECKING:
    from kan2.core.data import Dataset


def layers(text: str | None, samples: "Dataset", default: Sequence[Any] | None = None) -> list[Any] | None:
    """Returns the width of a network from the option --width, whose inputs and outputs the data know.

    Args:
        text: hidden layers as `5`, `2+1` or `5,2+1`; "none" for none.
        samples: the data.
        default: hidden layers where there is no text; None gives None.

    Raises:
        Refusal: the text is something else.
    """
    if text is None and default is None:
        return None
    hidden: list[Any] = [] if default is None else list(default)
    if text is not None:
        hidden = [] if text.strip() == "none" else [_layer(part, text) for part in text.split(",")]
    return [len(samples.feature_names), *hidden, samples.y.shape[1]]


def _layer(part: str, text: str) -> Any:
    sums, plus, products = (piece.strip() for piece in part.partition("+"))
    if sums.isdecimal() and (not plus or products.isdecimal()) and int(sums) + int(products or 0) > 0:
        return [int(sums), int(products)] if plus else int(sums)
    raise Refusal(
        f"expected --width as 5 for five sums, 2+1 for two sums and a product, 5,2+1 for two layers, or none, got "
        f"{text!r}."
    )
