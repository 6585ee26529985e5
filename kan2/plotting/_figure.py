"""A matplotlib Figure that notebooks show without pyplot."""

from io import BytesIO
from typing import Any

from matplotlib.figure import Figure


class NotebookFigure(Figure):
    """A Figure that belongs to no window; notebooks show it as a picture."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png", dpi=self.dpi)
        return buffer.getvalue()


def new_figure(width: float, height: float, **options: Any) -> NotebookFigure:
    """Returns an empty figure of this size in inches."""
    return NotebookFigure(figsize=(width, height), **options)
