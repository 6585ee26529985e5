"""The command `kan2`: from a table to a formula without a line of Python; `main` runs it.

One file a command. Nothing heavy is imported before a command needs it, so that `kan2 --help` is quick, and nothing at
all before `main` listens for Ctrl-C.

Reference: https://typer.tiangolo.com
"""

import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kan2.cli._app import app as app


def main() -> None:
    """Runs the command line of the process and exits with its status."""
    try:
        from kan2.cli._app import app

        app()
    except SystemExit:
        # What was asked for is done: Ctrl-C while the process ends changes nothing.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
    except KeyboardInterrupt:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        command = next((f"{word}: " for word in sys.argv[1:] if not word.startswith("-")), "")
        sys.stderr.write(f"kan2: {command}interrupted before there was a result.\n")
        sys.exit(130)


def __getattr__(name: str) -> Any:
    if name == "app":
        from kan2.cli._app import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
