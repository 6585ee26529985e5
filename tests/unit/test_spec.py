"""Network descriptions: validation, names, JSON."""

import pytest

from kan2 import BasisSpec, LayerSpec, MultKAN, NetworkSpec, SymbolicTerm
from kan2.core.spec import parse_width
from kan2.errors import EdgeError, SpecError, UnknownNameError


def test_json_round_trip_keeps_everything():
    spec = NetworkSpec(
        (
            LayerSpec(3, 1, (2, 3), numeric=((0, 1), (3, 2)), terms=(SymbolicTerm(0, 0, "sin", "ab"),)),
            LayerSpec(3, 2, basis=BasisSpec(grid=7, k=2, base_fun="zero", grid_eps=0.5), affine_trainable=True),
        ),
        inputs=("a", "b"),
        outputs=("u", "v"),
        features=("a", "g", "b"),
        auxiliary=(("g", "a*b"),),
    )
    assert NetworkSpec.from_json(spec.to_json()) == spec


def test_a_full_list_of_pairs_is_all():
    assert LayerSpec(2, 1, numeric=((0, 1), (0, 0))) == LayerSpec(2, 1, numeric="all")


@pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": 2, "layers": []}', '{"format": 1}'])
def test_text_that_is_no_spec_is_refused(text):
    with pytest.raises(SpecError, match="NetworkSpec"):
        NetworkSpec.from_json(text)


@pytest.mark.parametrize(
    ("width", "arity", "message"),
    [
        ([2], 2, "at least inputs and outputs"),
        ([2, 0, 1], 2, "at least one node"),
        ([[2, 1], 1], 2, "only plain inputs"),
        ([2, [1, 1], 1], 1, "integers >= 2"),
        ([2, [1, 2], 1], [[], [2], []], "one arity for each multiplication node"),
        ([2, -1, 1], 2, "a number or"),
        ("21", 2, "at least inputs"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_contradictory_width_and_arity_are_refused(width, arity, message):
    with pytest.raises(SpecError, match=message):
        parse_width(width, arity)


def test_width_is_not_changed_and_tuples_are_fine():
    width = [2, 5, 1]
    MultKAN(width, grid=2)
    assert width == [2, 5, 1]
    assert MultKAN((2, (5, 1), 1), grid=2).width == [[2, 0], [5, 1], [1, 0]]


@pytest.mark.parametrize(("options", "error"), [
    ({"grid": 0}, SpecError), ({"grid": 2.5}, SpecError), ({"k": 6}, SpecError), ({"k": -1}, SpecError),
    ({"grid_eps": 2}, SpecError), ({"grid_range": (1, -1)}, SpecError), ({"base_fun": "sillu"}, UnknownNameError),
])  # fmt: skip
@pytest.mark.usefixtures("unchecked")
def test_options_out_of_range_are_refused(options, error):
    with pytest.raises(error):
        MultKAN([1, 1], **options)


def test_unknown_functions_get_a_suggestion():
    with pytest.raises(UnknownNameError, match="Did you mean 'sin'"):
        SymbolicTerm(0, 0, "sinn")


def test_edges_must_exist():
    with pytest.raises(EdgeError, match="targets below 1"):
        LayerSpec(2, 1, numeric=((1, 0),))
    with pytest.raises(SpecError, match="expected layer 1 to read the 2 nodes"):
        NetworkSpec((LayerSpec(1, 2), LayerSpec(3, 1)))
    with pytest.raises(SpecError, match="expected 2 features"):
        NetworkSpec((LayerSpec(2, 1),), inputs=("a",))
    with pytest.raises(SpecError, match="different names"):
        NetworkSpec((LayerSpec(2, 1),), inputs=("a", "a"))
