"""A progress bar for training, shown only where it is asked for."""

import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any

from kan2.training.loop import Training


class ProgressBar:
    """A bar with the error and an estimate of the remaining time, drawn by `rich` on the terminal.

    Args:
        total: number of steps of the whole run, at most.
        console: a `rich.console.Console`; the standard one by default.
    """

    def __init__(self, total: int, console: Any = None) -> None:
        with _own_random_numbers():
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = ("{task.description}", BarColumn(), "{task.completed:.0f}/{task.total:.0f}")
            error = TextColumn("{task.fields[error]}")
            # Drawn after each step, not by a thread of its own that would run beside the training.
            self._bar = Progress(*columns, TimeRemainingColumn(), error, console=console, auto_refresh=False)
            self._task = self._bar.add_task("fit", total=total, error="")

    def __enter__(self) -> "ProgressBar":
        with _own_random_numbers():
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        with _own_random_numbers():
            self._bar.stop()

    def __call__(self, run: Training) -> None:
        """Shows the present step."""
        row = run.history.rows[-1]
        error = f"loss {row['loss']:.3g}" if row["rmse"] is None else f"rmse {row['rmse']:.3g}"
        done = run.stage * run.options.steps + run.step
        with _own_random_numbers():
            self._bar.update(self._task, completed=done, error=f"{error} grid {row['grid']}", refresh=True)


@contextmanager
def shown(run: Training, progress: bool, n_stages: int, *hooks: Callable[[Training], None]) -> Iterator[None]:
    """Calls hooks after each step of a run and, where asked, shows a bar for as long as it lasts.

    Args:
        run: the run, before it starts.
        progress: whether to show a bar.
        n_stages: number of grids that it goes through.
        hooks: called with the run.
    """
    with ExitStack() as stack:
        bars = [stack.enter_context(ProgressBar(run.options.steps * n_stages))] if progress else []
        run.options = replace(run.options, after_step=(*hooks, *bars))
        yield


@contextmanager
def _own_random_numbers() -> Iterator[None]:
    # rich draws from Python's global generator, which is not ours to move.
    state = random.getstate()
    try:
        yield
    finally:
        random.setstate(state)
