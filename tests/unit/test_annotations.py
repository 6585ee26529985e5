"""The annotations of the packages are checked while the tests run; users have no checker."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

import kan2
import kanpiler
import treeconv
from kan2.core.bases.bspline import BSplineBasis
from kan2.core.layer import KANLayer

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "function",
    [kan2.MultKAN.forward, kan2.discover, KANLayer.forward, kanpiler.compile, treeconv.convert],
    ids=lambda f: f.__qualname__,
)
def test_functions_of_all_packages_are_wrapped(function):
    assert hasattr(function, "__wrapped__"), "the hook of tests/conftest.py came after an import of the packages"


def test_a_wrong_shape_is_told_by_the_name_of_the_parameter():
    with pytest.raises(TypeCheckError, match=r"BSplineBasis.__init__[\s\S]*parameter 'grid'[\s\S]*source points"):
        BSplineBasis(torch.zeros(2), 3)


def test_axes_of_one_call_are_compared():
    values = torch.zeros(3, 2), torch.zeros(3, 1, 2), torch.zeros(3, 1, 2, 4)
    with pytest.raises(TypeCheckError, match="hessian"):
        kan2.Jet(*values)


def test_an_int_may_stand_for_a_float_and_not_the_other_way_round():
    kan2.MultKAN([1, 1]).perturb(0)
    with pytest.raises(TypeCheckError, match=r"parameter seed=0\.5"):
        kan2.MultKAN([1, 1]).perturb(0.0, seed=0.5)


@pytest.mark.usefixtures("unchecked")
def test_tests_of_refusals_see_what_users_see():
    with pytest.raises(kan2.Kan2Error, match="BSplineBasis: expected"):
        BSplineBasis(torch.zeros(2), 3)


@pytest.mark.slow
def test_users_load_no_checker():
    names = "kan2.MultKAN, kan2.discover, kan2.plotting, kan2.estimators, kanpiler.compile, treeconv.convert"
    code = f"import sys, kan2, kanpiler, treeconv; {names}; assert 'beartype' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
