"""From the specs of symbolic layers to a straight-line program, and from their numbers to its coefficients.

The numbers of all layers in one list, layer by layer in the order of their parameters, are the first coefficients of
the program. Behind them come those of the sums: of scale (sum over terms of c f + d) + bias, with the affine of the
node around it where the node is that sum, the scales of the functions and one bias.

Reference: Griewank, Walther, Evaluating Derivatives (2008), section 2.2.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from kan2 import functions
from kan2.core._tape import Apply, Divide, Linear, Multiply, Step, Tape
from kan2.core.spec import LayerSpec, SymbolicTerm
from kan2.functions.pullbacks import pullback

ODD_POLES = ("1/x", "1/x^3", "csch", "coth")
"""Functions whose value at 0 is an infinity that takes the sign of the zero."""

CONSTANT = ("0", "sign")
"""Rows of the table through which no gradient passes."""


@dataclass(frozen=True)
class Places:
    """Where the numbers of a layer are in the list of all: the first of each parameter."""

    affine: int
    shape: int
    subnode_scale: int
    subnode_bias: int
    node_scale: int
    node_bias: int
    end: int

    @classmethod
    def of(cls, spec: LayerSpec, start: int) -> "Places":
        """Lays out the numbers of a layer."""
        sizes = (4 * len(spec.terms), len(spec.terms), *2 * (spec.n_subnodes,), *2 * (spec.n_out,))
        starts = [start]
        for size in sizes:
            starts.append(starts[-1] + size)
        return cls(*starts)


@dataclass(frozen=True)
class SumNumbers:
    """Which numbers a sum is made of, and the coefficients that they give: its scales from `first` on, then its bias.

    Attributes:
        scales, shifts: c and d of its terms.
        subnode_scale, subnode_bias: its affine.
        node_scale, node_bias: the affine of its node, where the node is this sum alone.
        first: the first of its coefficients.
    """

    scales: tuple[int, ...]
    shifts: tuple[int, ...]
    subnode_scale: int
    subnode_bias: int
    node_scale: int | None
    node_bias: int | None
    first: int

    @property
    def bias(self) -> int:
        """The coefficient that is added."""
        return self.first + len(self.scales)

    @property
    def all_numbers(self) -> Iterator[int]:
        """All numbers that it is made of."""
        own = (self.subnode_scale, self.subnode_bias, self.node_scale, self.node_bias)
        return (n for n in (*self.scales, *self.shifts, *own) if n is not None)

    def evaluate(self, n: Sequence[float]) -> list[float]:
        """Returns the coefficients."""
        outer = 1.0 if self.node_scale is None else n[self.node_scale]
        scale, bias = outer * n[self.subnode_scale], outer * n[self.subnode_bias]
        bias += scale * sum(n[i] for i in self.shifts)
        return [*(scale * n[i] for i in self.scales), bias if self.node_bias is None else bias + n[self.node_bias]]

    def pull_back(self, n: Sequence[float], found: list[float]) -> None:
        """Adds to the gradients of the numbers what those of the coefficients give."""
        *of_scales, of_bias = found[self.first : self.bias + 1]
        outer = 1.0 if self.node_scale is None else n[self.node_scale]
        scale = outer * n[self.subnode_scale]
        for i, g in zip(self.scales, of_scales):
            found[i] += scale * g
        for i in self.shifts:
            found[i] += scale * of_bias
        terms = sum(n[i] * g for i, g in zip(self.scales, of_scales)) + of_bias * sum(n[i] for i in self.shifts)
        found[self.subnode_scale] += outer * terms
        found[self.subnode_bias] += outer * of_bias
        if self.node_scale is not None and self.node_bias is not None:
            found[self.node_scale] += n[self.subnode_scale] * terms + n[self.subnode_bias] * of_bias
            found[self.node_bias] += of_bias


class Layout:
    """The numbers of symbolic layers and the coefficients that they give.

    Args:
        specs: what the layers are.

    Attributes:
        places: where the numbers of each layer are.
        n_numbers: how many numbers there are.
        one, zero: coefficients with these values.
        sums: for each layer, the sums of its subnodes.
    """

    def __init__(self, specs: Sequence[LayerSpec]) -> None:
        self.specs, self.places, start = tuple(specs), list[Places](), 0
        for spec in specs:
            self.places.append(Places.of(spec, start))
            start = self.places[-1].end
        self.n_numbers = start
        self.sums = [list(self._sums(spec, at)) for spec, at in zip(specs, self.places)]
        first = start
        for sums in self.sums:
            for i, numbers in enumerate(sums):
                sums[i] = replace(numbers, first=first)
                first = sums[i].bias + 1
        self.one, self.zero = first, first + 1

    @staticmethod
    def _sums(spec: LayerSpec, at: Places) -> Iterator[SumNumbers]:
        terms: list[list[int]] = [[] for _ in range(spec.n_subnodes)]
        for i, term in enumerate(spec.terms):
            terms[term.target].append(i)
        alone = {group[0]: node for node, group in enumerate(spec.groups) if len(group) == 1}
        for s, own in enumerate(terms):
            node = alone.get(s)
            yield SumNumbers(
                scales=tuple(at.affine + 4 * i + 2 for i in own),
                shifts=tuple(at.affine + 4 * i + 3 for i in own),
                subnode_scale=at.subnode_scale + s,
                subnode_bias=at.subnode_bias + s,
                node_scale=None if node is None else at.node_scale + node,
                node_bias=None if node is None else at.node_bias + node,
                first=0,
            )

    def coefficients(self, numbers: Sequence[float]) -> list[float]:
        """Returns the coefficients that numbers give."""
        found = list(numbers)
        for sums in self.sums:
            for own in sums:
                found += own.evaluate(numbers)
        return [*found, 1.0, 0.0]

    def pull_back(self, numbers: Sequence[float], found: list[float], free: Sequence[bool]) -> list[float]:
        """Returns the gradients of the free numbers for those of the coefficients, into which it writes."""
        for sums in self.sums:
            for own in sums:
                own.pull_back(numbers, found)
        return [g if is_free else 0.0 for g, is_free in zip(found[: self.n_numbers], free)]

    def wanted(self, free: Sequence[bool]) -> list[bool]:
        """Returns which coefficients want gradients, given which numbers do."""
        sums = [own for of_layer in self.sums for own in of_layer]
        return [*free, *(flag for own in sums for flag in _wanted(own, free)), False, False]


def _wanted(own: SumNumbers, free: Sequence[bool]) -> list[bool]:
    of_all = free[own.subnode_scale] or (own.node_scale is not None and free[own.node_scale])
    return [*(of_all or free[i] for i in own.scales), any(free[i] for i in own.all_numbers)]


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
