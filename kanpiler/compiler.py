"""The compiler: text or SymPy -> program -> normal form -> plan -> schedule -> network, checked at the end.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.3.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import sympy

from kan2.errors import named_options, warn
from kan2.multkan import MultKAN
from kanpiler.approximate import cut, join, train
from kanpiler.diagnose import Trouble, find_trouble
from kanpiler.domain import Domain, check_domain
from kanpiler.emit import emit
from kanpiler.errors import CompileError, DomainWarning, UnsupportedExpression
from kanpiler.limits import SECONDS, time_limit
from kanpiler.normalize import carry_out, normalize
from kanpiler.optimize import best_schedule
from kanpiler.parse import Program, parse
from kanpiler.schedule import Schedule
from kanpiler.splines import emit_splines
from kanpiler.verify import nowhere_real
from kanpiler.verify import verify as verify_network

LOG = logging.getLogger("kanpiler")


def _check_options(inputs: Any, edges: Any, approximate: Any, verify: Any, trainable: Any, grid: Any) -> None:
    # An option that would be dropped in silence is refused.
    if edges not in ("symbolic", "spline"):
        raise CompileError(f"compile: expected edges='symbolic' or 'spline', got {edges!r}.")
    for name, value in (("approximate", approximate), ("verify", verify), ("trainable", trainable)):
        if not isinstance(value, bool):
            raise CompileError(f"compile: expected {name}=True or False, got {value!r}.")
    if inputs is not None and not isinstance(inputs, Iterable):
        raise CompileError(f"compile: expected inputs as a list of names, got {inputs!r}. None takes all symbols.")
    if grid is not None:
        if edges == "symbolic":
            raise CompileError(
                f"compile: expected no grid beside edges='symbolic', whose functions are exact, got {grid!r}. Pass "
                "edges='spline' and a domain, or leave grid out."
            )
        if isinstance(grid, bool) or not isinstance(grid, Integral) or grid < 1:
            raise CompileError(f"compile: expected grid as a whole number >= 1, got {grid!r}. None finds one.")
    if edges == "spline" and not trainable:
        raise CompileError(
            "compile: expected trainable=True beside edges='spline', whose splines can always be trained, got False. "
            "Leave it out, or freeze the network by requires_grad_(False)."
        )


def _check_seconds(seconds: Any) -> None:
    if isinstance(seconds, bool) or not isinstance(seconds, Real) or not 0 < float(seconds) < float("inf"):
        raise CompileError(f"compile: expected seconds as a number > 0, got {seconds!r}.")


def _short(expression: Any) -> str:
    text = str(expression)
    return text if len(text) <= 100 else text[:97] + "..."


@dataclass(frozen=True)
class Stages:
    """Everything between the formula and the network.

    Attributes:
        program: what was read, with derivatives, integrals and sums carried out.
        normal: the normal form of each output.
        schedule: the plan and its layers.
        intervals: the declared domain, checked: input name -> (low, high).
    """

    program: Program
    normal: tuple[sympy.Expr, ...]
    schedule: Schedule
    intervals: Domain

    @property
    def harmless(self) -> list[Any]:
        """The second arguments of atan2, by which the normal form divides even where they are zero."""
        angles: Any = {angle for expression in self.program.expressions for angle in expression.atoms(sympy.atan2)}
        return [normalize(angle.args[1], self.program.inputs, {}) for angle in angles]

    def trouble(self) -> tuple[Trouble, ...]:
        """Returns where the formula is not finite and real on the domain."""
        return find_trouble(self.schedule.plan, self.intervals, self.harmless)


@contextmanager
def _budget(seconds: float) -> Iterator[None]:
    """Refuses a formula that takes longer, whatever stage it is in."""
    try:
        with time_limit(seconds):
            yield
    except TimeoutError:
        raise UnsupportedExpression(
            f"compile: the formula takes more than {seconds:g} s of processor time. Compile its parts, or pass a "
            "larger seconds=."
        ) from None


def compile_stages(
    source: Any,
    inputs: Any = None,
    domain: Mapping[Any, Any] | None = None,
    optimize: str | None = None,
    seconds: float = SECONDS,
) -> Stages:
    """Runs the compiler up to the schedule, within so many seconds of processor time."""
    _check_seconds(seconds)
    with _budget(seconds):
        return _stages(source, inputs, domain, optimize)


def _stages(source: Any, inputs: Any, domain: Mapping[Any, Any] | None, optimize: str | None) -> Stages:
    try:
        program = parse(source, inputs)
        intervals = check_domain(domain, program.inputs)
        expressions = tuple(carry_out(expression) for expression in program.expressions)
        program = Program(expressions, program.inputs, program.outputs)
        normal = tuple(normalize(expression, program.inputs, intervals) for expression in expressions)
        return Stages(program, normal, best_schedule(normal, program.inputs, optimize), intervals)
    except RecursionError:
        raise UnsupportedExpression("compile: the formula is nested too deeply. Compile its parts.") from None


@named_options
def compile_formula(
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
) -> MultKAN:
    """Compiles a formula without unknown parts into a network that computes it exactly; see `kanpiler.compile`."""
    _check_options(inputs, edges, approximate, verify, trainable, grid)
    _check_seconds(seconds)
    if approximate:
        with _budget(seconds):
            program = parse(expr, inputs)
            expressions, parts = cut([carry_out(expression) for expression in program.expressions])
        if parts:
            if edges != "symbolic":
                raise CompileError(
                    f"compile: expected edges='symbolic' beside approximate=True, got {edges!r}: splines follow exact "
                    "functions. Leave one of the two out."
                )
            intervals = check_domain(domain, program.inputs)
            LOG.info("compile: %d parts have no exact network and are trained", len(parts))
            trained = [train(part, intervals) for part in parts]
            outer = dict(zip(program.outputs, expressions))
            names = [*program.inputs, *(part.symbol.name for part in parts)]
            rest = compile_formula(outer, names, domain, verify=verify, trainable=trainable, optimize=optimize,
                                   seconds=seconds)  # fmt: skip
            return join(program.inputs, parts, trained, rest, trainable)
    with _budget(seconds):
        stages = _stages(expr, inputs, domain, optimize)
        program, troubles = stages.program, stages.trouble()
        network = emit(stages.schedule, program.outputs, trainable)
        if verify:
            lost = verify_network(network, program.expressions, program.inputs, stages.intervals).nowhere
        else:
            lost = nowhere_real(program.expressions, program.inputs, stages.intervals)
    for trouble in troubles:
        warn(f"compile: {trouble.message}", DomainWarning)
    LOG.info("compile: width %s, %d edges", network.width, network.spec.n_edges)
    if lost and not troubles:
        text = _short(program.expressions[lost[0]])
        warn(
            f"compile: {text} is real and finite at no sample{' of the domain' * bool(stages.intervals)}, so nothing "
            "was compared. Look at the signs below roots and logarithms, or declare another domain.",
            DomainWarning,
        )
    elif verify:
        LOG.info("compile: the network agrees with the formula")
    return (
        network
        if edges == "symbolic"
        else emit_splines(stages.schedule, stages.program.outputs, stages.intervals, grid)
    )
