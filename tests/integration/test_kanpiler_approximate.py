"""approximate=True: parts without an exact network are trained, the rest stays exact, and the error is told."""

import numpy as np
import pytest
import scipy.special
import sympy
import torch

import kanpiler
from kanpiler.approximate import cut

x, y, z = sympy.symbols("x y z")


def test_cut_takes_only_what_has_no_network():
    expressions, parts = cut([2 * sympy.besselj(x, y) * z + sympy.besselj(1, x), sympy.sin(sympy.besselj(x, y))])
    (part,) = parts
    assert (part.expression, part.inputs) == (sympy.besselj(x, y), ("x", "y"))
    assert expressions == (2 * part.symbol * z + sympy.besselj(1, x), sympy.sin(part.symbol))


@pytest.mark.slow
def test_bessel_function_of_variable_order():
    domain = {"x": (0.3, 2), "y": (0.5, 2), "z": (0, 1)}
    with pytest.warns(kanpiler.ApproximationWarning, match=r"besselj\(x, y\) is a trained spline network"):
        net = kanpiler.compile("2*besselj(x, y)*z + 1", domain=domain, approximate=True, trainable=False)
    assert not any(term.free for layer in net.spec.layers for term in layer.terms)
    points = np.random.default_rng(5).uniform([0.3, 0.5, 0], [2, 2, 1], (300, 3))
    expected = 2 * scipy.special.jv(points[:, 0], points[:, 1]) * points[:, 2] + 1
    found = net(torch.as_tensor(points)).detach().numpy()[:, 0]
    assert np.sqrt(np.mean((found - expected) ** 2)) < 1e-4 * expected.std()
    at_zero = net(torch.tensor([[1.0, 1.0, 0.0]])).item()
    assert at_zero == 1.0  # what is exact stays exact


def test_exact_formulas_stay_exact():
    assert kanpiler.decompile(kanpiler.compile("x*sin(y)", approximate=True)) == x * sympy.sin(y)


def test_needs_a_domain():
    with pytest.raises(kanpiler.CompileError, match="needs the domain of x, y"):
        kanpiler.compile("besselj(x, y)", approximate=True)


def test_what_can_be_carried_out_is_carried_out_before_parts_are_cut():
    x = torch.tensor([[0.7]], dtype=torch.float64)
    net = kanpiler.compile("Sum(besselj(k, x), (k, 1, 3))", domain={"x": (0.1, 2)}, approximate=True)
    assert net(x).item() == pytest.approx(float(scipy.special.jv([1, 2, 3], 0.7).sum()))
    with pytest.raises(kanpiler.CompileError, match="Derivative"):
        kanpiler.compile("x + diff(besselj(x, y), x)", domain={"x": (0.3, 2), "y": (0.5, 2)}, approximate=True)


def test_splines_for_exact_parts_are_refused():
    with pytest.raises(kanpiler.CompileError, match="symbolic"):
        kanpiler.compile("besselj(x, y)", domain={"x": (1, 2), "y": (1, 2)}, approximate=True, edges="spline")
