"""What a long command says while it runs, on stderr: a live line on a terminal, else one plain line for each event."""

import sys
import time
from types import TracebackType
from typing import Any

import typer


class Ticker:
    """A line that tells what is done, how long it has taken and, where there is a limit, how long it may take yet.

    Args:
        limit: seconds, or None.
        quiet: say nothing.
    """

    def __init__(self, limit: float | None = None, quiet: bool = False) -> None:
        self.limit, self.quiet, self.start = limit, quiet, time.monotonic()
        self.share = 0.0
        self.is_live = not quiet and sys.stderr.isatty()
        self._text = ""
        self._live: Any = None

    def __enter__(self) -> "Ticker":
        if self.is_live:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True, highlight=False)
            # What is printed elsewhere goes where it would go without the line: stdout may be a file.
            self._live = Live(self, console=console, refresh_per_second=4, transient=True, redirect_stdout=False)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def __rich__(self) -> Any:
        from rich.text import Text

        return Text(f"{self.clock()}  {self._text}", no_wrap=True, overflow="ellipsis")

    def clock(self) -> str:
        """Returns the seconds since the start and those that are left: to the limit, or as what is done tells."""
        seconds = time.monotonic() - self.start
        left = [] if self.share == 0.0 else [seconds * (1 / self.share - 1)]
        left += [] if self.limit is None else [max(0.0, self.limit - seconds)]
        return f"{seconds:.1f} s" + (f", at most {min(left):.0f} s left" if left else "")

    def now(self, text: str, share: float = 0.0) -> None:
        """Says what is done at present, on a terminal only, and which share of all is done before."""
        self._text, self.share = text, share

    def event(self, text: str) -> None:
        """Says something that stays."""
        line = f"{self.clock()}: {text}"
        if self._live is not None:
            self._live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif not self.quiet:
            typer.echo(line, err=True)
