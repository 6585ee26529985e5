"""Command line: `python -m kanpiler "x*sin(y)" --plot out.svg`."""

import argparse
import sys
from collections.abc import Sequence

from kan2.errors import Kan2Error
from kanpiler.compiler import compile_formula
from kanpiler.explain import explain


def main(arguments: Sequence[str] | None = None) -> int:
    """Compiles a formula, prints the stages, and writes what was asked for.

    Args:
        arguments: command-line arguments; None takes those of the process.

    Returns:
        0, or 2 when the formula is refused.
    """
    parser = argparse.ArgumentParser(prog="python -m kanpiler", description="Compiles a formula into a network.")
    parser.add_argument(
        "formula", nargs="+", help="formula in Python, calculator or LaTeX style; several for several outputs"
    )
    parser.add_argument("--inputs", help="ordered input names, separated by commas")
    parser.add_argument("--domain", action="append", default=[], metavar="NAME:LOW:HIGH", help="interval of an input")
    parser.add_argument("--optimize", choices=("depth", "width", "edges"), help="what to make small")
    parser.add_argument("--plot", metavar="FILE", help="draw the stages into this file (.svg, .png, .pdf)")
    parser.add_argument("--save", metavar="FILE", help="save the network")
    options = parser.parse_args(arguments)
    source = options.formula[0] if len(options.formula) == 1 else options.formula
    inputs = options.inputs.split(",") if options.inputs else None
    try:
        domain = dict(_interval(text) for text in options.domain)
        explanation = explain(source, inputs, domain, options.optimize)
        network = compile_formula(source, inputs, domain, optimize=options.optimize)
    except (Kan2Error, argparse.ArgumentTypeError) as error:
        print(error, file=sys.stderr)
        return 2
    print(explanation)
    if options.plot:
        explanation.plot().savefig(options.plot)
    if options.save:
        network.save(options.save)
    return 0


def _interval(text: str) -> tuple[str, tuple[float, float]]:
    name, _, ends = text.partition(":")
    try:
        low, high = map(float, ends.split(":"))
    except ValueError:
        raise argparse.ArgumentTypeError(f"--domain: expected NAME:LOW:HIGH, got {text!r}.") from None
    return name, (low, high)


if __name__ == "__main__":
    sys.exit(main())
