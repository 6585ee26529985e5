"""The structure of a formula by brute force: derivatives to third order, every subset of the inputs, no cleverness.

Independent of treeconv, which exchanges inputs between samples: here the defining differential equations are written
down and evaluated at random points of the domain.

- input i is irrelevant: f_i = 0
- A, B additive: f_ab = 0 for all a in A, b in B
- A, B multiplicative: f_ab (f - c) = f_a f_b with one constant c
- A a module: f_ak f_b = f_a f_bk for all a, b in A and k outside
- A, B generalised separable: log(f_a / f_b) has no mixed derivative by A and B, and A and B are modules

A *fact* is one such statement that holds. `facts` lists all of a formula; `implied` lists those a tree stands for, so
that a tree is sound when implied - facts is empty, and complete when facts - implied is empty.
"""

from __future__ import annotations

import itertools

import numpy as np
import sympy as sp
import torch

TOLERANCE = 1e-8


def _subsets(items):
    items = list(items)
    for size in range(1, len(items) + 1):
        yield from (frozenset(c) for c in itertools.combinations(items, size))


def _torch_function(name):
    return lambda *arguments: getattr(torch, name)(*(torch.as_tensor(a, dtype=torch.float64) for a in arguments))


TORCH = {name: _torch_function(name) for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "sinh", "cosh")}
TORCH |= {name: _torch_function("arc" + name[1:]) for name in ("asin", "acos", "atan")} | {
    "Abs": _torch_function("abs")
}


def as_torch(expression, names):
    """A SymPy expression as a torch function of samples (batch, n), quicker to get than its symbolic derivatives."""
    by_name = {str(s): s for s in expression.free_symbols}
    arguments = [by_name.get(name, sp.Symbol(name)) for name in names]
    compiled = sp.lambdify(arguments, expression, modules=[TORCH, {"pi": np.pi}], cse=True)
    return lambda x: torch.as_tensor(compiled(*x.unbind(1))) + 0 * x[:, 0]


class Formula:
    """A SymPy expression on a box, with its partial derivatives at random points by repeated autograd."""

    def __init__(self, expression, box, n_points=40, seed=7):
        self.names = list(box)
        self.symbols = {str(s): s for s in expression.free_symbols}
        for name in self.names:
            self.symbols.setdefault(name, sp.Symbol(name))
        self.expression = expression
        self.box = box
        rng = np.random.default_rng(seed)
        self.points = [torch.tensor(rng.uniform(*box[n], n_points), requires_grad=True) for n in self.names]
        compiled = sp.lambdify(
            [self.symbols[n] for n in self.names], expression, modules=[TORCH, {"pi": np.pi}], cse=True
        )
        self.graph = {(): torch.as_tensor(compiled(*self.points)) + 0 * self.points[0]}
        # derivatives are compared per width of the box, so that units do not matter
        self.width = {name: box[name][1] - box[name][0] for name in self.names}

    def d(self, *names):
        """Values of a partial derivative at the points."""
        key = tuple(sorted(names))
        return self._derivative(key).detach().numpy() * np.prod([self.width[n] for n in key])

    def _derivative(self, key):
        if key not in self.graph:
            lower = self._derivative(key[:-1])
            slope = None
            if lower.requires_grad:
                point = self.points[self.names.index(key[-1])]
                slope = torch.autograd.grad(lower.sum(), point, create_graph=True, allow_unused=True)[0]
            self.graph[key] = torch.zeros_like(lower) if slope is None else slope
        return self.graph[key]

    def irrelevant(self, name):
        scale = np.nanmax(np.abs(self.d()))
        good = np.isfinite(self.d(name))
        return bool(np.all(np.abs(self.d(name)[good]) <= 1e-12 * scale))

    def additive(self, a, b):
        scale = np.nanmax(np.abs(self.d()))
        return all(np.nanmax(np.abs(self.d(i, j))) <= 1e-10 * scale for i in a for j in b)

    def multiplicative(self, a, b):
        constants = []
        for i, j in itertools.product(a, b):
            mixed, product = self.d(i, j), self.d(i) * self.d(j)
            with np.errstate(all="ignore"):
                constants.append(self.d() - product / mixed)
        constants = np.concatenate(constants)
        constants = constants[~np.isnan(constants)]  # an infinite one says that there is no such constant
        if not len(constants) or not np.isfinite(constants).all():
            return False
        return bool(np.all(np.abs(constants - np.median(constants)) <= 1e-6 * np.nanstd(self.d())))

    def splits(self, k, a, b):
        """Whether input k changes the ratio of the derivatives by a and b."""
        left, right = self.d(a, k) * self.d(b), self.d(a) * self.d(b, k)
        size = np.abs(left) + np.abs(right)
        total = np.abs(left - right)
        # where both derivatives have no k at all, size is rounding
        noise = 1e-11 * np.abs(self.d(a) * self.d(b))
        good = np.isfinite(total)
        return not bool(np.all(total[good] <= TOLERANCE * size[good] + noise[good]))

    def module(self, group, everything):
        pairs = list(itertools.combinations(sorted(group), 2))
        outside = everything - group
        return not any(self.splits(k, a, b) for a, b in pairs for k in sorted(outside))

    def separable(self, a, b):
        """Whether the function is F(g(A) + h(B)), A and B being modules and all inputs together."""
        for i, j in itertools.product(sorted(a), sorted(b)):
            fi, fj = self.d(i), self.d(j)
            for p, q in itertools.product(sorted(a), sorted(b)):
                # mixed derivative of log(f_i / f_j) by p and q, times (f_i f_j)^2
                first = self.d(i, p, q) * fi * fj**2 - self.d(i, p) * self.d(i, q) * fj**2
                second = self.d(j, p, q) * fj * fi**2 - self.d(j, p) * self.d(j, q) * fi**2
                size = np.abs(self.d(i, p, q) * fi * fj**2) + np.abs(self.d(i, p) * self.d(i, q) * fj**2)
                size = size + np.abs(self.d(j, p, q) * fj * fi**2) + np.abs(self.d(j, p) * self.d(j, q) * fi**2)
                total = np.abs(first - second)
                good = np.isfinite(total)
                noise = 1e-10 * (fi * fj) ** 2
                if not np.all(total[good] <= 1e-7 * size[good] + noise[good]):
                    return False
        return True

    def frozen(self, group):
        """The formula with all inputs outside a group held at some point of the box."""
        values = {
            self.symbols[n]: self.box[n][0] + share * (self.box[n][1] - self.box[n][0])
            for n, share in zip(self.names, itertools.cycle([0.37, 0.61, 0.83, 0.29, 0.52]))
            if n not in group
        }
        return Formula(self.expression.subs(values), {n: self.box[n] for n in self.names if n in group})


def finest(inputs, separate):
    """The finest partition of inputs into groups every two of which are separate, found by trying all subsets."""
    best = [frozenset(inputs)]
    for group in _subsets(inputs):
        rest = frozenset(inputs) - group
        if rest and separate(group, rest):
            best = [piece for old in best for piece in (old & group, old - group) if piece]
    return frozenset(best)


def facts(formula, known=True):
    """All facts of a formula.

    A fact is ("irrelevant", name), ("sum", groups), ("product", groups), ("module", group) or ("separable", {A, B}).
    Sums and products are looked for at the top and, below a sum or product, in each of its parts.
    """
    found = {("irrelevant", name) for name in formula.names if formula.irrelevant(name)}
    inputs = frozenset(formula.names) - {name for _, name in found}
    if known and len(inputs) > 1:
        for kind, separate in (("sum", formula.additive), ("product", formula.multiplicative)):
            groups = finest(inputs, separate)
            if len(groups) > 1:
                found.add((kind, groups))
                for group in groups:
                    if len(group) > 1:
                        inner = facts(formula.frozen(group))
                        found |= {fact for fact in inner if fact[0] in ("sum", "product")}
    modules = [g for g in _subsets(inputs) if len(g) > 1 and formula.module(g, inputs)]
    found |= {("module", group) for group in modules}
    alone = [frozenset([i]) for i in inputs]
    for a, b in itertools.combinations([*alone, *modules], 2):
        whole = a | b
        if not a & b and whole in modules:
            part = formula if whole == frozenset(formula.names) else formula.frozen(whole)
            if part.separable(a, b):
                found.add(("separable", frozenset([a, b])))
    return found


def implied(tree):
    """All facts a tree stands for: those of its nodes, and those of every union of parts that may be joined.

    `tree` is a nested tuple (kind, children) with names as leaves, and its irrelevant names.
    """
    root, irrelevant = tree
    found = {("irrelevant", name) for name in irrelevant}

    def leaves(node):
        return frozenset([node]) if isinstance(node, str) else frozenset().union(*(leaves(c) for c in node[1]))

    def visit(node, known):
        if isinstance(node, str):
            return
        kind, children = node
        groups = [leaves(child) for child in children]
        everything = leaves(node)
        if len(everything) > 1:
            found.add(("module", everything))
        if kind in ("sum", "product") and known:
            found.add((kind, frozenset(groups)))
        if kind in ("sum", "product", "separable"):
            for union in (frozenset().union(*some) for some in _subsets(groups) if len(some) > 1):
                found.add(("module", union))
                inside = [g for g in groups if g <= union]
                for size in range(1, len(inside)):
                    for part in itertools.combinations(inside, size):
                        a = frozenset().union(*part)
                        found.add(("separable", frozenset([a, union - a])))
        for child in children:
            visit(child, known and kind in ("sum", "product"))

    visit(root, True)
    return found


def nested(tree):
    """A tree of treeconv as the nested tuples that `implied` takes."""

    def build(node):
        if tree.nodes[node]["kind"] == "input":
            return node
        return tree.nodes[node]["kind"], [build(child) for child in tree.predecessors(node)]

    return build(tree.graph["root"]), tree.graph["irrelevant"]
