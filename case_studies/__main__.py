"""`python -m case_studies list | all | NAME [--full] [--seeds N] [--out DIR] [--results PAGE]`."""

import sys
import traceback
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from case_studies import STUDIES
from case_studies._base import run_as_script


def main(argv: list[str] | None = None) -> int:
    """Runs the command line and returns the exit status: 0 where every target was met."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("list", "-h", "--help"):
        print(__doc__)
        for name, what in STUDIES.items():
            print(f"  {name:24} {what}")
        return 0
    name, rest = arguments[0], arguments[1:]
    if name == "all":
        out = Path(rest[rest.index("--out") + 1]) if "--out" in rest else Path("out")
        options = [a for i, a in enumerate(rest) if a != "--out" and (i == 0 or rest[i - 1] != "--out")]
        return max(_run_one_of_all(each, [*options, "--out", str(out / each)]) for each in STUDIES)
    if name not in STUDIES:
        close = get_close_matches(name, STUDIES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        print(f"case_studies: unknown study {name!r}.{hint} Known: {', '.join(STUDIES)}.", file=sys.stderr)
        return 2
    return run_as_script(_study(name), rest)


def _run_one_of_all(name: str, options: list[str]) -> int:
    # A study that breaks must not take the others with it.
    try:
        return run_as_script(_study(name), options)
    except Exception:
        traceback.print_exc()
        return 1


def _study(name: str):
    return import_module(f"case_studies.{name}").run


if __name__ == "__main__":
    sys.exit(main())
