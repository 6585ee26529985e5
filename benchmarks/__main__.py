"""`python -m benchmarks [NAME ...] [--out FOLDER]`: runs comparisons and writes their sections into docs/results.md.

Every module of this package that has a function `main() -> str` is a comparison; the text it returns is a section that
starts with a heading of level two. A section replaces the one of the same heading. A long comparison, whose `main` has
a parameter `out`, keeps the runs that are done in the folder, and goes on from there when it is called again.
"""

import argparse
import inspect
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from case_studies._results import write_section

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results.md"


def names() -> list[str]:
    """Returns the names of all comparisons."""
    return sorted(
        module.name for module in iter_modules([str(Path(__file__).parent)]) if not module.name.startswith("_")
    )


def main(argv: list[str] | None = None) -> int:
    """Runs the named comparisons, by default all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--out", type=Path, help="folder for the runs that are done")
    arguments = parser.parse_args(argv)
    chosen = arguments.names or names()
    if unknown := sorted(set(chosen) - set(names())):
        print(f"benchmarks: unknown {', '.join(unknown)}. Known: {', '.join(names())}.", file=sys.stderr)
        return 2
    for name in chosen:
        print(f"{name} ...", flush=True)
        run = import_module(f"benchmarks.{name}").main
        section = run(out=arguments.out) if "out" in inspect.signature(run).parameters else run()
        write_section(section, RESULTS)
        print(section, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
