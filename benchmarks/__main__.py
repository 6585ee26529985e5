"""`python -m benchmarks [NAME ...]`: runs comparisons and writes their sections into docs/results.md.

Every module of this package that has a function `main() -> str` is a comparison; the text it returns is a section that
starts with a heading of level two. A section replaces the one of the same heading.
"""

import re
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results.md"
HEADER = """# Results

Every figure on this page was printed by a command of this repository: `make bench` (comparisons, one thread, side by
side in one process) or `make reproduce` (case studies). Timings depend on the machine; ratios within one table compare
what ran side by side.
"""


def names() -> list[str]:
    """Returns the names of all comparisons."""
    return sorted(
        module.name for module in iter_modules([str(Path(__file__).parent)]) if not module.name.startswith("_")
    )


def write_section(text: str, path: Path = RESULTS) -> None:
    """Puts a section into the page, in place of the one with the same heading."""
    page = path.read_text() if path.exists() else HEADER
    sections = re.split(r"^(?=## )", page, flags=re.MULTILINE)
    heading = text.splitlines()[0]
    kept = [s for s in sections if s.splitlines()[:1] != [heading]]
    path.write_text("\n".join(s.rstrip() + "\n" for s in [*kept, text]))


def main(argv: list[str] | None = None) -> int:
    """Runs the named comparisons, by default all."""
    chosen = (sys.argv[1:] if argv is None else argv) or names()
    if unknown := sorted(set(chosen) - set(names())):
        print(f"benchmarks: unknown {', '.join(unknown)}. Known: {', '.join(names())}.", file=sys.stderr)
        return 2
    for name in chosen:
        print(f"{name} ...", flush=True)
        section = import_module(f"benchmarks.{name}").main()
        write_section(section)
        print(section, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
