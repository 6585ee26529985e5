"""Parts of case studies: Hamiltonians, laws from a library, the exact solution of Burgers' equation."""

import numpy as np
import pytest

from case_studies._burgers import cole_hopf
from case_studies._terms import candidates, choose
from case_studies.anderson import hamiltonian, is_edge
from kan2.expressions.parse import parse_expression


def test_hamiltonian_of_long_hops_equals_a_double_loop():
    n, lam, p, phase = 21, 1.3, 0.7, 0.4
    expected = np.zeros((n, n))
    for i in range(n):
        expected[i, i] = lam * np.cos(2 * np.pi * 13 / 21 * (i + 1) + phase)
        for j in range(i):
            distance = min(i - j, n - i + j)
            expected[i, j] = expected[j, i] = np.exp(p - p * distance)
    found = hamiltonian("MAAM", n, {"lam": lam, "p": p}, phase).toarray()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_mosaic_chain_is_open_and_has_its_potential_at_every_third_site():
    found = hamiltonian("mosaic 3", 9, {"lam": 1.0}, 0.1).toarray()
    assert np.flatnonzero(found.diagonal()).tolist() == [2, 5, 8]
    assert found[0, 8] == 0
    np.testing.assert_array_equal(found.diagonal(1), np.ones(8))


@pytest.mark.parametrize(
    ("chain", "formula", "expected"),
    [
        ("GAAM", "E*alpha/2 + lam - 1", True),
        ("GAAM", "1 - lam - E*alpha/2", False),
        ("MAAM", "lam*cosh(p) - E - exp(p)", True),
        ("MAAM", "lam + lam/(4*p) - 2*E*exp(-p) - 2", False),
        ("mosaic 2", "lam**2*E**2 - 1", True),
        ("mosaic 3", "lam*Abs(E**2 - 2) - 1", False),
    ],
)
def test_known_edges_are_told_from_others(chain, formula, expected):
    assert is_edge(parse_expression(formula, names=["lam", "alpha", "p", "E"]), chain) is expected


@pytest.mark.slow
def test_a_law_is_chosen_from_the_library():
    x = np.random.default_rng(0).uniform(-2, 2, (800, 2))
    noise = np.random.default_rng(1).logistic(0, 0.05, len(x))
    law = choose(candidates(x, ["a", "b"]), x, x[:, 0] + x[:, 1] ** 2 / 2 + noise > 1, n_search=800)
    assert law.formula - parse_expression("a + b**2/2 - 1") == 0


def test_the_exact_solution_obeys_its_equation():
    rng, nu, h = np.random.default_rng(0), 0.05, 1e-3
    t, x = rng.uniform(0.2, 0.9, 50), rng.uniform(-0.9, 0.9, 50)
    u, left, right = (cole_hopf(t, x + d, nu) for d in (0.0, -h, h))
    rate = (cole_hopf(t + h, x, nu) - cole_hopf(t - h, x, nu)) / (2 * h)
    residual = rate + u * (right - left) / (2 * h) - nu * (right - 2 * u + left) / h**2
    assert np.abs(residual).max() < 1e-3
