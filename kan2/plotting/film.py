"""A film of a training: the diagram after every few steps, as an animated GIF.

`Film` is a callback of `fit`; it keeps copies of the network, and draws them only when the film is saved.
"""

import copy
from os import PathLike
from typing import Any

import numpy as np

from kan2.core.network import Network
from kan2.errors import DataError, named_options
from kan2.options import number, whole
from kan2.options import path as checked_path
from kan2.plotting.diagram import plot
from kan2.training.history import History


@named_options
class Film:
    """Records a network while it is trained.

    Args:
        data: samples over which activations are drawn, see `MultKAN.samples`.
        every: steps between two pictures, >= 1.

    Attributes:
        frames: (text, network) of each picture.

    Example:
        >>> from kan2 import MultKAN, sample_function
        >>> data = sample_function("x**2", {"x": (-1, 1)}, n=50)
        >>> film = Film(data, every=2)
        >>> history = MultKAN([1, 1]).fit(data, steps=4, callbacks=[film])
        >>> len(film.frames) >= 1
        True
    """

    def __init__(self, data: Any, every: int = 1) -> None:
        self.data, self.every = data, whole("Film", "every", every)
        self.frames: list[tuple[str, Network]] = []

    def __call__(self, model: Network, history: History) -> None:
        row = history.rows[-1]
        if row["step"] % self.every == 0:
            self.frames.append((f"step {row['step']}, loss {row['loss']:.2e}", copy.deepcopy(model)))

    def save(self, path: str | PathLike[str], *, fps: float = 5.0, dpi: float = 80.0, **options: Any) -> None:
        """Writes the film as an animated GIF; all pictures have the size of the first.

        Args:
            path: the file.
            fps: pictures a second, > 0.
            dpi: resolution.
            options: of `plot`.

        Raises:
            DataError: nothing was recorded, or an option is of the wrong type or out of range.
        """
        fps = number("Film.save", "fps", fps, 0, above=True)
        dpi = number("Film.save", "dpi", dpi, 0, above=True)
        path = checked_path("Film.save", "path", path)
        if not self.frames:
            raise DataError("Film.save: expected recorded steps, got none. Pass the film to fit(callbacks=[film]).")
        pictures = []
        for text, model in self.frames:
            figure = plot(model, self.data, **{"title": text, **options})
            picture = _picture(figure, dpi)
            pictures.append(picture.resize(pictures[0].size) if pictures else picture)
        pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0)


def _picture(figure: Any, dpi: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    figure.set_dpi(dpi)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB").quantize(64)
