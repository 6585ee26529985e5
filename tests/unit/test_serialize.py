"""One file a network: round trips bit for bit, refusals, atomic writing."""

import copy
import json
import os
import pickle
import subprocess
import sys

import pytest
import sympy
import torch
from hypothesis import given, settings
from safetensors.torch import save_file
from strategies import networks, samples

from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, functions, serialize
from kan2.errors import SerializationError
from kan2.functions import SymbolicFunction
from kan2.serialize import place


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.safetensors"


def equal(a: MultKAN, b: MultKAN) -> bool:
    left, right = a.state_dict(), b.state_dict()
    flags = [[p.requires_grad for p in model.parameters()] for model in (a, b)]
    return a.spec == b.spec and flags[0] == flags[1] and all(torch.equal(left[k], right[k]) for k in left)


@settings(max_examples=30)
@given(model=networks())
def test_round_trips(model, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / "round.safetensors"
    model.save(path)
    assert equal(MultKAN.load(path), model)
    assert equal(copy.deepcopy(model), model)
    assert equal(pickle.loads(pickle.dumps(model)), model)
    x = samples(model)
    assert torch.equal(MultKAN.load(path)(x), model(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_grids_names_features_and_types_come_back(path, dtype, generator):
    model = MultKAN([2, [2, 1], 1], grid=4, grid_eps=0.2, inputs=["v", "c"], outputs=["E"], dtype=dtype)
    model = model.augment({"beta": "v/c"})
    x = torch.rand(300, 2, generator=generator, dtype=torch.float64) ** 2 + 0.1
    model.fit((x, x[:, 0] / x[:, 1]), steps=3)
    assert model.layers[0].numeric.basis.pieces.shape[0] > 1, "the grid should not be uniform"
    model.layers[0].numeric.weight.requires_grad_(False)
    model = model.prune_input(x, active=["c", "beta"])
    model.save(path)
    read = MultKAN.load(path)
    assert equal(read, model)
    assert read.spec.features == ("c", "beta")
    assert read.like.dtype == dtype
    assert torch.equal(read(x), model(x))
    assert read.data is None


@pytest.mark.parametrize("outside", ["tangent", "base"])
def test_homes_and_continuations_come_back(path, outside, generator):
    model = MultKAN([2, 2, 1], outside=outside)
    for layer in model.layers:
        layer.set_home_(torch.tensor([0.0, -7.0]).double(), torch.tensor([1.0, 9.0]).double())
    model.save(path)
    read = MultKAN.load(path)
    assert equal(read, model)
    assert [layer.numeric.outside for layer in read.layers] == [outside] * 2
    assert read.layers[1].numeric.basis.home.tolist() == [[0.0, 1.0], [-7.0, 9.0]]
    x = 3 * torch.randn(50, 2, generator=generator, dtype=torch.float64)
    assert torch.equal(read(x), model(x))


def test_a_file_without_its_homes_is_refused(path):
    model = MultKAN([2, 1])
    tensors = {name: t.clone() for name, t in model.state_dict().items() if not name.endswith("home")}
    metadata = {"format": serialize.FORMAT, "spec": model.spec.to_json(), "functions": "[]", "frozen": "[]"}
    save_file(tensors, path, metadata)
    with pytest.raises(SerializationError, match=r"layers\.0\.numeric\.basis\.home"):
        MultKAN.load(path)


@pytest.mark.slow
def test_a_registered_function_is_rebuilt_from_its_formula(path):
    functions.register(
        SymbolicFunction("lorentz-bump", lambda u: 1 / (1 + u * u), lambda u: 1 / (1 + u**2), 3), replace=True
    )
    layer = LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "lorentz-bump"),))
    MultKAN.from_spec(NetworkSpec((layer,))).save(path)
    assert MultKAN.load(path).spec.layers[0] == layer
    code = (
        "import sys, kan2\n"
        "model = kan2.MultKAN.load(sys.argv[1])\n"
        "print(float(model([[2.0]]).detach()), model.symbolic_formula())"
    )
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    number, _, formula = done.stdout.strip().partition(" ")
    assert float(number) == 0.2
    assert sympy.sympify(formula) == 1 / (1 + sympy.Symbol("x1") ** 2)


@pytest.mark.parametrize("name", ["J0", "airyai", "LambertW"])
def test_special_functions_are_saved_by_name(path, name):
    model = MultKAN([1, 1]).fix_symbolic((0, 0, 0), name, affine=(1, 1, 2, 3))
    model.save(path)
    assert equal(MultKAN.load(path), model)


@pytest.mark.slow
def test_latex_of_a_function_is_saved(path, tmp_path):
    form = SymbolicFunction("mine", torch.sin, sympy.sin, 3, latex=r"\mathrm{{mine}}({})")
    functions.register(form, replace=True)
    MultKAN([1, 1]).fix_symbolic((0, 0, 0), "mine").save(path)
    code = "import sys, kan2; print(kan2.MultKAN.load(sys.argv[1]).latex(digits=2))"
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert "mine" in done.stdout


def test_a_function_without_formula_is_refused_and_the_old_file_stays(path):
    class mystery(sympy.Function):
        pass

    functions.register(SymbolicFunction("mystery", torch.sin, mystery, 3), replace=True)
    MultKAN([1, 1]).save(path)
    before = path.read_bytes()
    layer = LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "mystery"),))
    with pytest.raises(SerializationError, match="mystery"):
        MultKAN.from_spec(NetworkSpec((layer,))).save(path)
    assert path.read_bytes() == before


def test_a_crash_while_writing_leaves_the_old_file_and_nothing_else(path, monkeypatch):
    MultKAN([1, 1]).save(path)
    before = path.read_bytes()
    monkeypatch.setattr(place.Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "disk full")))
    with pytest.raises(OSError, match="disk full"):
        MultKAN([2, 1]).save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def write(path, model: MultKAN, **changes) -> None:
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    metadata = {"format": serialize.FORMAT, "spec": model.spec.to_json(), "functions": "[]", "frozen": "[]"}
    save_file(tensors, path, {**metadata, **changes})


def test_bad_files_are_refused(path):
    with pytest.raises(FileNotFoundError, match=r"net\.safetensors"):
        MultKAN.load(path)
    path.write_bytes(b"not a network")
    with pytest.raises(SerializationError, match="written by save"):
        MultKAN.load(path)
    model = MultKAN([2, 1])
    write(path, model)
    assert equal(MultKAN.load(path), model) is False  # frozen flags are part of a network
    for changes, message in (
        ({"format": "other"}, "format 'kan2 network 1', got 'other'"),
        ({"spec": "{}"}, "complete network"),
        ({"spec": json.dumps({"format": 99})}, "complete network"),
        ({"spec": MultKAN([3, 1]).spec.to_json()}, "shape"),
        ({"spec": MultKAN([2, 1, 1]).spec.to_json()}, "other tensors"),
        ({"spec": model.spec.to_json().replace("bspline", "nonsense")}, "nonsense"),
    ):
        write(path, model, **changes)
        with pytest.raises(SerializationError, match=message):
            MultKAN.load(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SerializationError):
        MultKAN.load(path)


def test_another_function_of_the_same_name_is_refused(path):
    row = SymbolicFunction("twofold", lambda u: 2 * u, lambda u: 2 * u, 3)
    functions.register(row)
    layer = LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "twofold"),))
    MultKAN.from_spec(NetworkSpec((layer,), ("x",))).save(path)
    functions.register(SymbolicFunction("twofold", lambda u: 3 * u, lambda u: 3 * u, 3), replace=True)
    with pytest.raises(SerializationError, match="twofold"):
        MultKAN.load(path)
    functions.register(row, replace=True)
    assert MultKAN.load(path)(torch.ones(1, 1)).item() == 2
