"""From a network to the formula it is: one SymPy expression an output, equal to the forward pass.

A number that equals an integer, a simple fraction or a multiple of pi up to rounding is written exactly; all others are
printed as floats. Auxiliary variables are resolved, so the formula is in the names of the inputs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from types import MappingProxyType
from typing import Any, cast

import sympy
import torch

from kan2 import functions, options
from kan2.core.definitions import resolve_auxiliary
from kan2.core.layer import KANLayer
from kan2.core.network import Network
from kan2.errors import FormulaError, named_options
from kan2.expressions.constants import exact_form
from kan2.expressions.symbols import symbol, with_backquotes
from kan2.symbolic.curves import LARGEST_SHIFT, canonical
from kan2.symbolic.shifts import is_round_shift
from kan2.symbolic.verify import verified
from kan2.types import EdgeIndex

LARGEST_EXACT = 1e12  # shifts of exponentials below this are written as integers and fractions
MOST_DIGITS = 100  # floats have 17
LONG = 100  # parts of an expression from which on functions of it are written down unevaluated


@named_options
def symbolic_formula(model: Network, *, digits: int | None = None, simplify: bool = False, check: bool = True) -> Any:
    """Returns the formula of a network whose edges are all symbolic.

    Args:
        model: the network.
        digits: round floats to this many significant digits; None prints them in full.
        simplify: let SymPy simplify the result.
        check: compare the formula with the forward pass (before rounding): at samples of the last fit, or else where
            the functions of the first layer bend and in several boxes. A formula that is right but loses digits is
            written down in the order in which the network computes it.

    Returns:
        one expression, or a list of them for several outputs.

    Raises:
        DataError: digits is no number of digits.
        FormulaError: some edges are still splines, or the formula is another function than the network.

    Example:
        >>> from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
        >>> layer = LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sin"), SymbolicTerm(0, 1, "x^2")))
        >>> symbolic_formula(MultKAN.from_spec(NetworkSpec((layer,), inputs=("x", "y"))))
        y**2 + sin(x)
    """
    _check_options("symbolic_formula", model, digits, simplify, check)
    nodes: Sequence[sympy.Expr] = formulas(model)
    if simplify:
        nodes = [sympy.simplify(node) for node in nodes]
    if _keeps_shifts(model) or not all(map(_fits_floats, nodes)):
        nodes = formulas(model, as_computed=True)
    if check and model.spec.theory is None:
        nodes = verified(model, nodes, lambda: formulas(model, as_computed=True))
    if digits is not None:
        nodes = [round_floats(node, digits) for node in nodes]
    nodes = [with_backquotes(node) for node in nodes]
    return nodes[0] if len(nodes) == 1 else nodes


def _check_options(where: str, model: Any, digits: Any, simplify: Any, check: Any) -> None:
    options.network(where, model)
    if digits is not None:
        options.whole(where, "digits", digits, 1, MOST_DIGITS, remedy="None prints all digits.")
    options.flag(where, "simplify", simplify)
    options.flag(where, "check", check)


def formulas(
    model: Network,
    forms: Mapping[str, Any] = MappingProxyType({}),
    *,
    as_computed: bool = False,
) -> list[sympy.Expr]:
    """Returns the expression of every output of a symbolic network, as it is written in its terms.

    Args:
        model: all edges symbolic.
        forms: by name, what stands for a function in place of its SymPy form.
        as_computed: keep the order of the network's operations, which SymPy may change at the cost of digits.

    Raises:
        FormulaError: some edges are still splines.
    """
    spec = model.spec
    splines = [edge.index for edge in spec.edges() if edge.is_numeric]
    if splines:
        raise FormulaError(_about_splines(model, splines))
    symbols = {name: symbol(name) for name in spec.inputs}
    parameters = () if spec.theory is None else spec.theory.parameters
    symbols |= {one.name: symbol(one.name) for one in parameters}
    columns = {**symbols, **resolve_auxiliary(spec.inputs, spec.auxiliary)}
    nodes: list[sympy.Expr] = [columns[name] for name in spec.features]
    for layer in model.layers:
        nodes = _layer(layer, nodes, _Style(forms, as_computed))
    return nodes


def _about_splines(model: Network, splines: Sequence[EdgeIndex]) -> str:
    shown = ", ".join(map(str, splines[:8])) + (", ..." if len(splines) > 8 else "")
    # `auto_symbolic` notes in its report what it decided for each edge.
    tried = {tuple(choice.edge) for choice in getattr(model.report, "choices", ()) if choice.function is None}
    n = len(splines)
    if not tried & set(splines):
        return f"symbolic_formula: {n} edges are still splines: {shown}. Run auto_symbolic() or prune() first."
    return (
        f"symbolic_formula: expected functions on all edges, got {n} splines that no function of the library fits: "
        f"{shown}. What helps: train longer or on a finer grid before, or with more samples; auto_symbolic() with a "
        "larger library=, or with accuracy=, the share of the targets that a formula may be off by. "
        f"suggest_symbolic({splines[0]}) shows how near functions come."
    )


@named_options
def latex(model: Network, *, digits: int | None = None, simplify: bool = False, check: bool = True) -> str | list[str]:
    """Returns the formula of a network as LaTeX; functions with a LaTeX form of their own are written in it.

    Args:
        model: all edges symbolic.
        digits, simplify, check: as in `symbolic_formula`.

    Returns:
        one text, or a list for several outputs.

    Raises:
        FormulaError: as `symbolic_formula`.

    Example:
        >>> from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
        >>> layer = LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sqrt"),))
        >>> latex(MultKAN.from_spec(NetworkSpec((layer,), inputs=("x",))))
        '\\\\sqrt{x}'
    """
    _check_options("latex", model, digits, simplify, check)
    if check:
        symbolic_formula(model, simplify=simplify)
    rows = [functions.get(term.function) for layer in model.spec.layers for term in layer.terms]
    forms = {row.name: _written(row.name, row.latex) for row in rows if row.latex}
    nodes = formulas(model, forms)
    if simplify:
        nodes = [sympy.simplify(node) for node in nodes]
    if _keeps_shifts(model) or not all(map(_fits_floats, nodes)):
        nodes = formulas(model, forms, as_computed=True)
    if digits is not None:
        nodes = [round_floats(node, digits) for node in nodes]
    texts = [sympy.latex(with_backquotes(node)) for node in nodes]
    return texts[0] if len(texts) == 1 else texts


def _written(name: str, template: str) -> type[sympy.Function]:
    # A function that SymPy knows nothing about but how to write it.
    def _latex(self: sympy.Function, printer: Any, exp: str | None = None) -> str:
        text = template.format(*(printer._print(argument) for argument in self.args))
        return text if exp is None else rf"\left({text}\right)^{{{exp}}}"

    return type(name, (sympy.Function,), {"_latex": _latex})


def round_floats(expression: sympy.Expr, digits: int) -> sympy.Expr:
    """Rounds every float of an expression to significant digits; exact numbers stay.

    Example:
        >>> x = sympy.Symbol("x")
        >>> round_floats(0.00123456 * x + 1234.5678 * sympy.sin(x), 2)
        0.0012*x + 1.2e+3*sin(x)
    """
    floats = expression.atoms(sympy.Float)
    rounded = {f: sympy.Float(f"{float(f):.{digits}g}", max(digits, 2)) for f in floats}
    begins = [e for e in expression.atoms(sympy.exp) if e.exp.is_Mul and any(part.is_Add for part in e.exp.args)]
    result = cast(sympy.Expr, expression.xreplace(rounded))
    # SymPy would multiply out what an exponential begins at, and make a factor of it.
    if _fits_floats(result) and not begins:
        return result
    with sympy.evaluate(False):
        return cast(sympy.Expr, expression.xreplace(rounded))


@dataclass(frozen=True)
class _Style:
    """How terms are written, see `formulas`."""

    forms: Mapping[str, Any]
    as_computed: bool

    def linear(self, value: sympy.Expr, scale: float, bias: float) -> sympy.Expr:
        """Returns scale * value + bias."""
        if scale == 0 or value == 0:
            return _exact(bias)
        value = value if scale == 1 else _exact(scale) * value
        return value if bias == 0 else value + _exact(bias)

    def linears(self, values: Sequence[sympy.Expr], scale: torch.Tensor, bias: torch.Tensor) -> list[sympy.Expr]:
        """Returns scale * value + bias of each value."""
        pairs = zip(scale.detach().double().tolist(), bias.detach().double().tolist())
        return [self.linear(value, s, b) for value, (s, b) in zip(values, pairs)]

    def term(self, function: str, x: sympy.Expr, affine: Sequence[float], p: float) -> sympy.Expr:
        """Returns c f(a x + b) + d."""
        row, (a, b, c, d) = functions.get(function), affine
        if row.gauge == "shift" and abs(b) > LARGEST_SHIFT and not is_round_shift(a, b):
            a, b, c, d = canonical(function, affine, p)
        if row.gauge == "shift" and a and b and self.as_computed:
            # SymPy would make a factor of exp(b), which no float may hold.
            u = self.linear(x + _begins_at(a, b), a, 0.0)
        else:
            u = self.linear(x, a, b)
        form = self.forms.get(function)
        if form is None:
            return self.linear(row.symbol(u, _exact(p)), c, d)
        return self.linear(form(u, *([] if row.shape is None else [_exact(p)])), c, d)


def _exact(number: float) -> sympy.Expr:
    with sympy.evaluate(True):
        return exact_form(number)


def _begins_at(a: float, b: float) -> sympy.Expr:
    # Of a round number all digits count, so `round_floats` may not have them.
    with sympy.evaluate(True):
        if not is_round_shift(a, b):
            return exact_form(b / a)
        return sympy.Rational(f"{b / a:.12g}") if abs(b / a) < LARGEST_EXACT else exact_form(b / a)


def _keeps_shifts(model: Network) -> bool:
    # Whether SymPy would make a factor of what an exponential begins at, see `shifts`.
    for layer in model.layers:
        affine = [] if layer.symbolic is None else layer.symbolic.affine.detach().tolist()
        for term, (a, b, _, _) in zip(layer.spec.terms, affine):
            if functions.get(term.function).gauge == "shift" and is_round_shift(a, b) and b != round(b):
                return True
    return False


def _layer(layer: KANLayer, nodes: Sequence[sympy.Expr], style: _Style) -> list[sympy.Expr]:
    spec = layer.spec
    parts: list[list[sympy.Expr]] = [[] for _ in range(spec.n_subnodes)]
    # What SymPy asks about a long argument before it makes nothing of it can take hours.
    with sympy.evaluate(not style.as_computed and all(_is_short(node) for node in nodes)):
        if layer.symbolic is not None:
            affine = layer.symbolic.affine.detach().double().tolist()
            shape = layer.symbolic.shape.detach().double().tolist()
            for term, numbers, p in zip(spec.terms, affine, shape):
                parts[term.target].append(style.term(term.function, nodes[term.source], numbers, p))
        totals = style.linears([_joined(sympy.Add, part) for part in parts], layer.subnode_scale, layer.subnode_bias)
        products = [_joined(sympy.Mul, [totals[i] for i in group]) for group in spec.groups]
        return style.linears(products, layer.node_scale, layer.node_bias)


def _fits_floats(expression: sympy.Expr) -> bool:
    # Whether float64 holds every number of an expression with room for what it is multiplied by.
    return all(number == 0 or 1e-200 < abs(number) < 1e200 for number in expression.atoms(sympy.Float))


def _is_short(expression: sympy.Expr) -> bool:
    return len(list(islice(sympy.preorder_traversal(expression), LONG))) < LONG


def _joined(kind: Any, parts: Sequence[sympy.Expr]) -> sympy.Expr:
    return parts[0] if len(parts) == 1 else kind(*parts)
