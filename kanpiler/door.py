"""The front door: formulas to networks, formulas with unknown parts to theories.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.3.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sympy

from kan2.errors import named_options
from kanpiler.compiler import compile_formula
from kanpiler.errors import CompileError
from kanpiler.limits import SECONDS
from kanpiler.theory.build import compile_theory


@named_options
def compile(
    expr: Any,
    inputs: Iterable[str | sympy.Symbol] | None = None,
    domain: Mapping[Any, tuple[float, float]] | None = None,
    edges: str = "symbolic",
    approximate: bool = False,
    verify: bool = True,
    trainable: bool = True,
    optimize: str | None = None,
    grid: int | None = None,
    seconds: float = SECONDS,
    *,
    parameters: Any = None,
    unknown: Any = None,
    units: Mapping[str, str] | None = None,
) -> Any:
    """Compiles a formula into a network that computes it exactly.

    Args:
        expr: text (Python, calculator style, LaTeX), a SymPy expression, `Eq(y, ...)`, or a list, matrix or dictionary
            name -> expression of these for several outputs.
        inputs: ordered input names; None takes the free symbols, sorted. A name that does not occur is allowed.
        domain: maps names to (low, high); where verification looks and what domain warnings are about.
        edges: "symbolic", or "spline" for splines that follow the same functions on the domain.
        approximate: train a small spline network for every function that has no exact one, on the declared domain;
            an `ApproximationWarning` says how well each is followed.
        verify: compare the network with NumPy on samples of the domain.
        trainable: whether training may change the numbers of the symbolic edges.
        optimize: "depth", "width" or "edges" tries equal formulas and keeps the smallest network; None compiles the
            formula as it is written.
        grid: grid intervals of the splines, >= 1, where edges="spline"; None takes as many as a relative RMSE of 1e-6
            needs, at most 320.
        seconds: processor time for all stages together, verification included, > 0; training of parts and of splines
            does not count.
        parameters: names of what is a number to be measured and no input; or a mapping name -> start, (start, low,
            high) or `kanpiler.Parameter`.
        unknown: names of functions that nobody knows, as the f of f(x); or a mapping name -> what is known of them,
            such as "increasing, zero at 0", or `kanpiler.Unknown`.
        units: units of measure of columns and outputs of a theory, by name, as text for pint (the extra `units`);
            parameters have theirs in `kanpiler.Parameter(unit=)`, or get what follows.

    Returns:
        A float64 network; `net(x)` takes (batch, input) and gives (batch, output). With parameters or unknown functions
        it is a `Theory`, which `fit` fits to a table.

    Raises:
        UnitError: terms of a theory have different dimensions, or a unit cannot be read.
        CompileError: the formula cannot be read, names an undeclared symbol, has no exact network, or takes longer than
            `seconds`; or an option has no effect beside the others.

    Warns:
        ApproximationWarning: a part of the formula is trained.
        DomainWarning: the formula is not finite and real somewhere on the declared domain, or nowhere at all.

    Example:
        >>> import torch
        >>> net = compile("x*sin(y) + z^2.5", inputs=["x", "y", "z"])
        >>> net(torch.tensor([[2.0, 0.0, 4.0]])).tolist()
        [[32.0]]
    """
    if parameters is None and unknown is None and units is None:
        return compile_formula(expr, inputs, domain, edges, approximate, verify, trainable, optimize, grid, seconds)
    options = {"domain": domain is not None, "edges": edges != "symbolic", "approximate": approximate,
               "trainable": not trainable, "optimize": optimize is not None, "grid": grid is not None}  # fmt: skip
    if given := [name for name, is_given in options.items() if is_given]:
        raise CompileError(
            f"compile: expected a theory without {', '.join(given)}, of no effect beside parameters and unknown "
            "functions. Leave them out."
        )
    return compile_theory(expr, inputs, parameters, unknown, units, verify, seconds)
