"""From the specs of symbolic layers to a straight-line program.

What is the identity is left out, what is made twice and wants no gradient of its own is made once, and where no
gradients will be asked for, a value that is read for the last time is overwritten.

Reference: Griewank, Walther, Evaluating Derivatives (2008), section 2.2.
"""

from collections.abc import Sequence

from kan2 import functions
from kan2.core.spec import LayerSpec, SymbolicTerm
from kan2.core.unrolled.layout import Layout, Places, SumNumbers
from kan2.core.unrolled.steps import Apply, Divide, Linear, Multiply, Step
from kan2.core.unrolled.tape import Tape
from kan2.functions.pullbacks import pullback

ODD_POLES = ("1/x", "1/x^3", "csch", "coth")
"""Functions whose value at 0 is an infinity that takes the sign of the zero."""

CONSTANT = ("0", "sign")
"""Rows of the table through which no gradient passes."""


class Unrolling:
    """Makes the program of symbolic layers.

    Args:
        layout: the layers and their numbers.
        k: the coefficients, of which those that are 0 or 1 matter.
        wanted: which coefficients want gradients.
        needs_inputs: whether the inputs do.
        goes_back: whether the program will be asked for gradients at all; if not, values are overwritten.
    """

    def __init__(
        self, layout: Layout, k: Sequence[float], wanted: Sequence[bool], *, needs_inputs: bool, goes_back: bool
    ) -> None:
        self.layout, self.k, self.wanted, self.goes_back = layout, k, tuple(wanted), goes_back
        self.n_inputs = layout.specs[0].n_in
        self.needs = [needs_inputs] * self.n_inputs
        self.steps: list[Step] = []
        self.known: dict[object, int] = {}
        self.roots: dict[int, int] = {}

    def tape(self) -> Tape:
        """Returns the program."""
        nodes = list(range(self.n_inputs))
        specs = self.layout.specs
        for i, spec in enumerate(specs):
            poles = {t.source for later in specs[i + 1 : i + 2] for t in later.terms if t.function in ODD_POLES}
            nodes = self._layer(i, spec, nodes, poles)
        return self._finish(tuple(nodes))

    def _layer(self, index: int, spec: LayerSpec, sources: list[int], poles: set[int]) -> list[int]:
        at, sums = self.layout.places[index], self.layout.sums[index]
        terms: list[list[tuple[int, SymbolicTerm]]] = [[] for _ in range(spec.n_subnodes)]
        for i, term in enumerate(spec.terms):
            terms[term.target].append((i, term))
        nodes = []
        for node, group in enumerate(spec.groups):
            if len(group) == 1:
                value, bias = self._sum(at, sums[group[0]], terms[group[0]], sources), sums[group[0]].bias
            else:
                value, bias = self._product(at, [(sums[s], terms[s]) for s in group], sources), at.node_bias + node
                value = self._linear((value,), (at.node_scale + node,), bias)
            if node in poles and self.k[bias] == 0.0:
                # -0.0, which products of zeros and negative numbers give, would have the infinity of the wrong sign.
                value = self._linear((value,), (self.layout.one,), self.layout.zero, always=True)
            nodes.append(value)
        return nodes

    def _product(
        self, at: Places, factors: list[tuple[SumNumbers, list[tuple[int, SymbolicTerm]]]], sources: list[int]
    ) -> int:
        def is_reciprocal(factor: tuple[SumNumbers, list[tuple[int, SymbolicTerm]]]) -> bool:
            own, terms = factor
            is_bare = len(terms) == 1 and self.k[own.first] == 1.0 and self.k[own.bias] == 0.0
            return is_bare and functions.get(terms[0][1].function) is functions.BUILT_IN["1/x"]

        # Divided by the argument of a reciprocal, rather than multiplied by the reciprocal.
        (own, terms), *others = sorted(factors, key=is_reciprocal)
        value = self._sum(at, own, terms, sources)
        for own, terms in others:
            if is_reciprocal((own, terms)):
                (i, term) = terms[0]
                divisor = self._argument(at, i, sources[term.source])
                value = self._emit(Divide(self._next, value, divisor, own.first, own.bias), (own.first, own.bias))
            else:
                factor = self._sum(at, own, terms, sources)
                value = self._emit(Multiply(self._next, (value, factor)))
        return value

    def _sum(self, at: Places, own: SumNumbers, terms: list[tuple[int, SymbolicTerm]], sources: list[int]) -> int:
        applied = tuple(self._apply(at, i, term, sources[term.source]) for i, term in terms)
        return self._linear(applied, tuple(range(own.first, own.bias)), own.bias)

    def _argument(self, at: Places, i: int, source: int) -> int:
        return self._linear((source,), (at.affine + 4 * i,), at.affine + 4 * i + 1)

    def _apply(self, at: Places, i: int, term: SymbolicTerm, source: int) -> int:
        row, shape = functions.get(term.function), at.shape + i
        u = self._argument(at, i, source)
        if row is functions.BUILT_IN["x"]:
            return u
        back, is_shaped = pullback(row), row.shape is not None
        is_plain = row is functions.BUILT_IN.get(row.name) and row.name in (*CONSTANT, "power")
        slope = self._next + 1 if self.goes_back and back is None and not is_plain else None
        found = self._emit(Apply(self._next, u, row, shape, back, slope), (shape,) if is_shaped else ())
        if slope is not None and found == slope - 1:
            self.needs.append(False)
        return found

    def _linear(self, sources: tuple[int, ...], scales: tuple[int, ...], bias: int, always: bool = False) -> int:
        is_same = len(sources) == 1 and self.k[scales[0]] == 1.0 and self.k[bias] == 0.0 and not always
        if is_same and not any(self.wanted[j] for j in (*scales, bias)):
            return sources[0]
        # What needs no scaling comes first.
        order = sorted(range(len(sources)), key=lambda i: self.k[scales[i]] != 1.0)
        sources, scales = tuple(sources[i] for i in order), tuple(scales[i] for i in order)
        value = self._emit(Linear(self._next, sources, scales, bias, always), (*scales, bias))
        if is_same:
            self.roots[value] = self.roots.get(sources[0], sources[0])
        return value

    @property
    def _next(self) -> int:
        return len(self.needs)

    def _emit(self, step: Step, reads: tuple[int, ...] = ()) -> int:
        # What wants no gradient of its own and reads no numbers is made once.
        is_wanted = any(self.wanted[j] for j in reads)
        key = None if is_wanted else _identity(step)
        if key in self.known:
            return self.known[key]
        self.steps.append(step)
        self.needs.append(is_wanted or any(self.needs[i] for i in step.reads))
        if key is not None:
            self.known[key] = step.out
        return step.out

    def _finish(self, outputs: tuple[int, ...]) -> Tape:
        last = {i: n for n, step in enumerate(self.steps) for i in step.reads}
        fixed = {*range(self.n_inputs), *outputs}
        if self.goes_back:
            needs = [step for step in self.steps if self.needs[step.out]]
            kept = {self.roots.get(i, i) for step in needs for i in step.keeps(self.wanted, self.needs)}
            fixed |= kept
        else:
            kept = set[int]()
            for n, step in enumerate(self.steps):
                _overwrite(step, {i for i in step.reads if last[i] == n and i not in fixed})
                if isinstance(step, Apply) and functions.BUILT_IN.get(step.row.name) is not step.row:
                    # A function of a user may give back what it was given.
                    fixed |= {step.out, step.source}
        roots = [self.roots.get(i, i) for i in outputs]
        shared = {*range(self.n_inputs), *kept}
        return Tape(
            n_values=len(self.needs),
            steps=tuple(self.steps),
            outputs=outputs,
            frees=tuple(
                tuple({i for i in step.reads if last[i] == n and i not in fixed}) for n, step in enumerate(self.steps)
            ),
            wanted=self.wanted,
            needs=tuple(self.needs),
            kept=tuple(sorted(kept - set(range(self.n_inputs)))),
            aliases=tuple(self.roots.items()),
            copies=tuple(i in shared for i in roots),
        )


def _identity(step: Step) -> object:
    """Returns by what a step that reads no numbers is known; None for others."""
    match step:
        case Apply() if step.row.shape is None:
            return "apply", step.source, step.row.name
        case Multiply():
            return "multiply", frozenset(step.factors), step.factors[0] == step.factors[1]
        case Divide():
            return "divide", step.numerator, step.divisor
    return None


def _overwrite(step: Step, last: set[int]) -> None:
    """Lets a step write into one of the values that are read there for the last time."""
    match step:
        case Linear() if step.sources and step.sources[0] in last:
            step.reuses = step.sources[0] not in step.sources[1:]
        case Divide():
            step.reuses = step.numerator in last and step.numerator != step.divisor
        case Multiply() if step.factors[0] != step.factors[1]:
            step.reuses = next((n for n in (0, 1) if step.factors[n] in last), None)
