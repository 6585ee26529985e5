"""The command `kan2`: from a table to a formula without a line of Python; `main` runs it.

One file a command. Nothing heavy is imported before a command needs it, so that `kan2 --help` is quick.

Reference: https://typer.tiangolo.com
"""

from kan2.cli._app import app as app
from kan2.cli._app import main as main
