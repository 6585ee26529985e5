"""From a network to the formula it is: one SymPy expression an output, equal to the forward pass.

A number that equals an integer, a simple fraction or a multiple of pi up to rounding is written exactly; all others are
printed as floats. Auxiliary variables are resolved, so the formula is in the names of the inputs.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import Any, cast

import numpy as np
import sympy
import torch

from kan2 import functions
from kan2.core.features import resolve_auxiliary
from kan2.core.layer import KANLayer
from kan2.core.network import Network
from kan2.errors import FormulaError
from kan2.expressions.constants import exact_form
from kan2.expressions.reference_values import reference_values

LONG = 100  # parts of an expression from which on functions of it are written down unevaluated


def symbolic_formula(model: Network, *, digits: int | None = None, simplify: bool = False, check: bool = True) -> Any:
    """Returns the formula of a network whose edges are all symbolic.

    Args:
        model: the network.
        digits: round floats to this many significant digits; None prints them in full.
        simplify: let SymPy simplify the result.
        check: compare the formula with the forward pass on random points (before rounding).

    Returns:
        one expression, or a list of them for several outputs.

    Raises:
        FormulaError: some edges are still splines, or the formula does not equal the forward pass.

    Example:
        >>> from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
        >>> layer = LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sin"), SymbolicTerm(0, 1, "x^2")))
        >>> symbolic_formula(MultKAN.from_spec(NetworkSpec((layer,), inputs=("x", "y"))))
        y**2 + sin(x)
    """
    nodes = formulas(model)
    if simplify:
        nodes = [sympy.simplify(node) for node in nodes]
    if check:
        _verify(model, nodes)
    if digits is not None:
        nodes = [round_floats(node, digits) for node in nodes]
    return nodes[0] if len(nodes) == 1 else nodes


def formulas(model: Network, forms: Mapping[str, Any] = MappingProxyType({})) -> list[sympy.Expr]:
    """Returns the expression of every output of a symbolic network, as it is written in its terms.

    Args:
        model: all edges symbolic.
        forms: by name, what stands for a function in place of its SymPy form.

    Raises:
        FormulaError: some edges are still splines.
    """
    spec = model.spec
    splines = [str(edge.index) for edge in spec.edges() if edge.is_numeric]
    if splines:
        shown = ", ".join(splines[:8]) + (", ..." if len(splines) > 8 else "")
        raise FormulaError(
            f"symbolic_formula: {len(splines)} edges are still splines: {shown}. Run auto_symbolic() or prune() first."
        )
    symbols = {name: sympy.Symbol(name) for name in spec.inputs}
    columns = {**symbols, **resolve_auxiliary(spec.inputs, spec.auxiliary)}
    nodes: list[sympy.Expr] = [columns[name] for name in spec.features]
    for layer in model.layers:
        nodes = _layer(layer, nodes, forms)
    return nodes


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
    if check:
        symbolic_formula(model, simplify=simplify)
    rows = [functions.get(term.function) for layer in model.spec.layers for term in layer.terms]
    forms = {row.name: _written(row.name, row.latex) for row in rows if row.latex}
    nodes = formulas(model, forms)
    if simplify:
        nodes = [sympy.simplify(node) for node in nodes]
    if digits is not None:
        nodes = [round_floats(node, digits) for node in nodes]
    texts = [sympy.latex(node) for node in nodes]
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
    return cast(sympy.Expr, expression.xreplace(rounded))


def _layer(layer: KANLayer, nodes: Sequence[sympy.Expr], forms: Mapping[str, Any]) -> list[sympy.Expr]:
    spec = layer.spec
    parts: list[list[sympy.Expr]] = [[] for _ in range(spec.n_subnodes)]
    # What SymPy asks about a long argument before it makes nothing of it can take hours.
    with sympy.evaluate(all(_is_short(node) for node in nodes)):
        if layer.symbolic is not None:
            affine = layer.symbolic.affine.detach().double().tolist()
            shape = layer.symbolic.shape.detach().double().tolist()
            for term, (a, b, c, d), p in zip(spec.terms, affine, shape):
                row = functions.get(term.function)
                u = _linear(nodes[term.source], a, b)
                form = forms.get(term.function)
                f = (
                    row.symbol(u, exact_form(p))
                    if form is None
                    else form(u, *([] if row.shape is None else [exact_form(p)]))
                )
                parts[term.target].append(_linear(f, c, d))
        totals = _affine([_joined(sympy.Add, part) for part in parts], layer.subnode_scale, layer.subnode_bias)
        products = [_joined(sympy.Mul, [totals[i] for i in group]) for group in spec.groups]
        return _affine(products, layer.node_scale, layer.node_bias)


def _is_short(expression: sympy.Expr) -> bool:
    return len(list(islice(sympy.preorder_traversal(expression), LONG))) < LONG


def _joined(kind: Any, parts: Sequence[sympy.Expr]) -> sympy.Expr:
    return parts[0] if len(parts) == 1 else kind(*parts)


def _linear(value: sympy.Expr, scale: float, bias: float) -> sympy.Expr:
    if scale == 0 or value == 0:
        return exact_form(bias)
    value = value if scale == 1 else exact_form(scale) * value
    return value if bias == 0 else value + exact_form(bias)


def _affine(values: Sequence[sympy.Expr], scale: torch.Tensor, bias: torch.Tensor) -> list[sympy.Expr]:
    pairs = zip(scale.detach().double().tolist(), bias.detach().double().tolist())
    return [_linear(value, s, b) for value, (s, b) in zip(values, pairs)]


def _verify(model: Network, formulas: Sequence[sympy.Expr], n: int = 64) -> None:
    if model.data is not None:
        _compare(model, formulas, model.data.X[:n].detach().cpu().double(), 1e-9)
        return
    # The inputs' ranges are unknown: several boxes are tried, and points where the network is finite count. Some may
    # lie beside a pole, where rounding is amplified.
    generator = torch.Generator().manual_seed(0)
    boxes = [(-1.0, 1.0), (0.1, 0.9), (0.3, 3.0), (-5.0, 5.0), (1.0, 30.0)]
    n_inputs = len(model.spec.inputs)
    for low, high in boxes:
        x = low + (high - low) * torch.rand(n, n_inputs, generator=generator, dtype=torch.float64)
        _compare(model, formulas, x, 1e-6)


def _compare(model: Network, formulas: Sequence[sympy.Expr], x: torch.Tensor, tolerance: float) -> None:
    if model.like.dtype != torch.float64:
        tolerance = 1e-3
    with torch.no_grad():
        forward = model(x).cpu().double().numpy()
    for i, formula in enumerate(formulas):
        value = reference_values([formula], model.spec.inputs, x.numpy())[:, 0]
        # Where the formula or the network leaves its real domain there is nothing to compare.
        both = np.isfinite(forward[:, i]) & np.isfinite(value) & (np.abs(forward[:, i]) < 1e12)
        if not both.any():
            continue
        value, expected, points = value[both], forward[both, i], x[torch.from_numpy(both)]
        wrong = np.abs(value - expected) > tolerance * np.maximum(np.abs(expected), np.median(np.abs(expected)))
        if wrong.mean() > 0.02:
            row = int(wrong.argmax())
            raise FormulaError(
                f"symbolic_formula: expected the formula to equal the network, got {value[row]!r} instead of "
                f"{expected[row]!r} at {points[row].tolist()}. Call it with simplify=False, and report this as a bug."
            )
