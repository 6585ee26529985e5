"""Hypothesis strategies: random networks of every kind, with numbers that keep their outputs of moderate size."""

import random
from dataclasses import replace

import torch
from hypothesis import assume
from hypothesis import strategies as st

from kan2 import BasisSpec, LayerSpec, MultKAN, NetworkSpec, SymbolicTerm

SMOOTH = ("x", "x^2", "sin", "cos", "tanh", "gaussian", "sigmoid", "0")
"""Functions that are finite everywhere."""


@st.composite
def networks(draw, edges=("numeric", "symbolic", "both", "none"), max_layers=3, max_outputs=3) -> MultKAN:
    """Draws a float64 network: 1 to 4 inputs, sums and products of arity 1 to 4, edges of the given kinds."""
    model = random_network(draw(st.integers(0, 2**32 - 1)), edges, draw(st.integers(1, max_layers)), max_outputs)
    assume(is_well_conditioned(model))
    return model


def random_network(
    seed: int, edges=("numeric", "symbolic", "both", "none"), n_layers: int = 2, max_outputs: int = 3
) -> MultKAN:
    """Returns a random network."""
    rng, more = random.Random(seed), random.Random(f"base functions {seed}")
    n_in = rng.randint(1, 4)
    layers = []
    for i in range(n_layers):
        n_sum = rng.randint(0, max_outputs if i == n_layers - 1 else 3)
        arities = tuple(rng.choice((1, 2, 2, 3, 4)) for _ in range(rng.randint(0 if n_sum else 1, 2)))
        layer = LayerSpec(n_in, n_sum, arities, numeric=())
        numeric, terms = [], []
        for target in range(layer.n_subnodes):
            for source in range(n_in):
                kind = rng.choice(edges)
                if kind in ("numeric", "both"):
                    numeric.append((target, source))
                for _ in range({"symbolic": rng.randint(1, 2), "both": 1}.get(kind, 0)):
                    terms.append(SymbolicTerm(target, source, rng.choice(SMOOTH), rng.choice(("abcdp", "cd", ""))))
        kind = rng.choice(("bspline", "bspline", "chebyshev", "fourier", "rbf"))
        base_fun = rng.choice(("silu", "zero", "tanh"))
        outside = more.choice(("tangent", "base"))
        basis = BasisSpec(kind, grid=rng.randint(1, 6), k=rng.randint(1, 4), base_fun=base_fun, outside=outside)
        layers.append(
            replace(
                layer,
                numeric=tuple(numeric),
                terms=tuple(rng.sample(terms, len(terms))),
                basis=basis,
                affine_trainable=rng.random() < 0.5,
            )
        )
        n_in = layer.n_out
    model = MultKAN.from_spec(NetworkSpec(tuple(layers)))
    for layer in model.layers:
        low = torch.tensor([more.uniform(-3, 1) for _ in range(layer.in_features)], dtype=torch.float64)
        layer.set_home_(low, low + more.uniform(1, 4))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
            identity = torch.tensor([1.0, 0.0, 1.0, 0.0]) if name.endswith("affine") else float(name.endswith("scale"))
            parameter.copy_(identity + 0.4 * noise)
    return model


@torch.no_grad()
def is_well_conditioned(model: MultKAN) -> bool:
    """Returns whether rounding stays rounding: a sine of a product of large numbers would not let it."""
    x = samples(model)
    outputs = model(x)
    moved = (model(x * (1 + 1e-14)) - outputs).abs().amax()
    return bool(moved <= 1e-11 * outputs.abs().amax().clamp_min(1.0))


def samples(model: MultKAN, n: int = 40, seed: int = 0) -> torch.Tensor:
    """Returns random points for a network, some of them outside its grids."""
    generator = torch.Generator().manual_seed(seed)
    return 1.5 * torch.randn(n, len(model.spec.inputs), generator=generator, dtype=torch.float64)
