"""`python -m benchmarks [NAME ...] [--out FOLDER]`: runs comparisons and writes their sections into docs/results.md.

Every module of this package that has a function `main() -> str` is a comparison; the text it returns is a section that
starts with a heading of level two. A section replaces the one of the same heading. A long comparison, whose `main` has
a parameter `out`, keeps the runs that are done in the folder, and goes on from there when it is called again. One that
has a function `options` is called with what stands behind its name, as in `python -m benchmarks discovery --help`;
where that asks for a part of it, the section is printed and not written.
"""

import argparse
import ast
import inspect
import sys
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from case_studies._base import Parser, hint, make_places
from case_studies._results import write_section

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results.md"


def names() -> list[str]:
    """Returns the names of all comparisons."""
    return sorted(
        module.name for module in iter_modules([str(Path(__file__).parent)]) if not module.name.startswith("_")
    )


def what_it_measures(name: str) -> str:
    """Returns the first line of a comparison, without importing it."""
    text = ast.get_docstring(ast.parse((Path(__file__).parent / f"{name}.py").read_text())) or ""
    return text.splitlines()[0]


def has_options(name: str) -> bool:
    """Tells whether a comparison has options of its own, without importing it."""
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text())
    return any(isinstance(node, ast.FunctionDef) and node.name == "options" for node in tree.body)


def main(argv: list[str] | None = None) -> int:
    """Runs the named comparisons, by default all."""
    argv = sys.argv[1:] if argv is None else argv
    if len(argv) > 1 and argv[0] in names() and argv[1].startswith("-") and has_options(argv[0]):
        module = import_module(f"benchmarks.{argv[0]}")
        chosen, is_whole = module.options(argv[1:])
        section = module.main(**chosen)
        if is_whole:
            write_section(section, RESULTS)
        print(section, flush=True)
        return 0
    known = "\n".join(f"  {name:16} {what_it_measures(name)}" for name in names())
    parser = Parser(
        prog="benchmarks",
        usage="python -m benchmarks [NAME ...] [--out FOLDER], or NAME with options of its own",
        description="Runs comparisons, by default all, and writes their sections into docs/results.md.",
        epilog=f"comparisons:\n{known}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="a comparison, see below")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="where a long comparison keeps the runs that are done"
    )
    arguments = parser.parse_args(argv)
    for name in arguments.names:
        if name not in names():
            print(f"benchmarks: unknown comparison {name!r}.{hint(name, names())}", file=sys.stderr)
            return 2
    if arguments.out is not None:
        make_places(parser, arguments.out, None)
    for name in arguments.names or names():
        print(f"{name} ...", flush=True)
        try:
            run = import_module(f"benchmarks.{name}").main
            section = run(out=arguments.out) if "out" in inspect.signature(run).parameters else run()
        except ModuleNotFoundError as missing:
            needed = f"{name}: expected the package {missing.name!r}, which is not installed."
            print(f"benchmarks: {needed} Install the extra `bench`: pip install -e '.[bench]'.", file=sys.stderr)
            return 1
        write_section(section, RESULTS)
        print(section, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
