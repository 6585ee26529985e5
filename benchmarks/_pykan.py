"""pykan as its tutorials use it, quiet and in an empty folder, since it prints and writes on its own.

Reference: https://github.com/KindXiaoming/pykan, version 0.2.8.
"""

import contextlib
import copy
import io
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch


@contextlib.contextmanager
def quiet_in_empty_folder() -> Iterator[None]:
    """Keeps what a package prints and writes to itself."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # pykan writes a log into ./model, even where it is told to save nothing.
        os.makedirs(os.path.join(folder, "model"))
        os.chdir(folder)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                yield
        finally:
            os.chdir(before)


@contextlib.contextmanager
def float64_by_default() -> Iterator[None]:
    """Makes float64 the type of new tensors, for packages that have no option of their own."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def tutorial(data: dict[str, Any], width: Sequence[Any], seed: int, library: list[str] | None) -> Any:
    """Trains, prunes, refines and symbolifies with the settings of the first tutorial; returns the network.

    Args:
        data: samples by the names that pykan gives them.
        width: nodes of every layer.
        seed: of the start.
        library: functions that edges may become; None for pykan's own.
    """
    from kan import KAN

    # A copy of the width, because pykan changes the list it is given.
    model = KAN(width=copy.deepcopy(list(width)), grid=3, k=3, seed=seed, auto_save=False)
    model.fit(data, opt="LBFGS", steps=50, lamb=0.001)
    model.auto_save = False
    model = model.prune()
    model.fit(data, opt="LBFGS", steps=50)
    model = model.refine(10)
    model.fit(data, opt="LBFGS", steps=50)
    model.auto_symbolic(lib=library)
    model.fit(data, opt="LBFGS", steps=50)
    return model
