"""What SECURITY.md, docs/policy.md, CITATION.cff and .pre-commit-config.yaml promise."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import save_file
from torch.nn.functional import silu

import kan2
from kan2 import MultKAN, serialize
from kan2.errors import Kan2Error, SerializationError

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = ROOT / "tests" / "reference" / "networks"
ATTACK = "__import__('os').mkdir('{}')"


class Bomb:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def crafted(path: Path, **changes: str) -> Path:
    model = MultKAN([2, 1], inputs=["v", "c"])
    metadata = {"format": serialize.FORMAT, "spec": model.spec.to_json(), "functions": "[]", "frozen": "[]"}
    save_file({name: tensor.clone() for name, tensor in model.state_dict().items()}, path, {**metadata, **changes})
    return path


def test_formulas_of_functions_in_a_file_are_not_executed(tmp_path):
    row = {"name": "evil", "sympy": ATTACK.format(tmp_path / "harm"), "shape": None, "domain": [None, None]}
    with pytest.raises(SerializationError, match="__import__"):
        kan2.load(crafted(tmp_path / "net.kan", functions=json.dumps([row])))
    assert not (tmp_path / "harm").exists()


def test_auxiliary_variables_in_a_file_are_not_executed(tmp_path):
    spec = json.loads(MultKAN([2, 1], inputs=["v", "c"]).spec.to_json())
    spec |= {"auxiliary": [["beta", ATTACK.format(tmp_path / "harm")]], "features": ["v", "beta"]}
    model = kan2.load(crafted(tmp_path / "net.kan", spec=json.dumps(spec)))
    with pytest.raises(Kan2Error, match="__import__"):
        model(torch.ones(1, 2))
    assert not (tmp_path / "harm").exists()


def test_names_in_a_file_are_not_executed_when_its_formula_is_checked(tmp_path):
    name = ATTACK.format(tmp_path / "harm")
    model = MultKAN([1, 1], inputs=[name]).fix_symbolic((0, 0, 0), "J0", affine=(1, 0, 1, 0))
    model.save(tmp_path / "net.kan")
    assert name in str(kan2.load(tmp_path / "net.kan").symbolic_formula())
    assert not (tmp_path / "harm").exists()


def test_a_checkpoint_that_runs_code_is_refused(tmp_path):
    checkpoint = tmp_path / "run.pt"
    torch.save({"version": 2, "network": Bomb(tmp_path / "harm")}, checkpoint)
    data = kan2.sample_function("x", {"x": (0, 1)}, n=20)
    with pytest.raises(SerializationError, match="checkpoint"):
        MultKAN([1, 1]).fit(data, steps=1, checkpoint=checkpoint, resume=True)
    assert not (tmp_path / "harm").exists()
    torch.load(checkpoint, weights_only=False)
    assert (tmp_path / "harm").exists(), "the bomb should be a real one"


@pytest.mark.parametrize("name", ["spline", "compiled"])
def test_networks_of_earlier_versions_load_and_give_the_same(name):
    # The numbers beside the networks were computed by the version that wrote them.
    expected = np.load(NETWORKS / f"{name}.npz")
    model = kan2.load(NETWORKS / f"{name}.kan")
    assert type(model) is MultKAN
    np.testing.assert_allclose(model.predict(expected["x"]), expected["y"], rtol=1e-14, atol=1e-15)
    assert kan2.NetworkSpec.from_json(model.spec.to_json()) == model.spec


def test_base_functions_of_earlier_versions_go_on_as_they_are():
    model = kan2.load(NETWORKS / "spline.kan")
    for layer in model.layers:
        assert layer.spec.basis.outside == "base"
        assert layer.numeric.outside == "base"
        assert layer.numeric.basis.home.unique(dim=0).tolist() == [[-1.0, 1.0]]
    edges = model.layers[0].numeric
    x = (3 * edges.basis.grid[:, -1:].T).requires_grad_()
    assert torch.equal(edges.features(x)[..., 0], silu(x))
    assert torch.equal(edges.feature_derivatives(x, 1)[..., 0], torch.autograd.grad(silu(x).sum(), x)[0])


def test_a_compiled_network_of_an_earlier_version_is_its_formula():
    assert str(kan2.load(NETWORKS / "compiled.kan").symbolic_formula()) == "m0*sin(v/c)/sqrt(1 - v**2/c**2)"


def test_no_network_of_an_earlier_version_is_left_out():
    assert sorted(path.stem for path in NETWORKS.glob("*.kan")) == ["compiled", "spline"]


def test_the_citation_is_complete_and_of_this_version():
    text = (ROOT / "CITATION.cff").read_text()
    entries = dict(re.findall(r"^([\w-]+):[ >-]*(.*)$", text, re.MULTILINE))
    assert {"cff-version", "message", "title", "authors", "version", "license"} <= set(entries)
    assert entries["cff-version"] == "1.2.0"
    assert entries["version"] == kan2.__version__
    assert entries["license"] == "MIT"
    assert all(f"https://arxiv.org/abs/{number}" in text for number in ("2404.19756", "2408.10205"))


@pytest.mark.parametrize("name", ["CITATION.cff", ".pre-commit-config.yaml"])
def test_yaml_files_can_be_read(name):
    assert isinstance(yaml.safe_load((ROOT / name).read_text()), dict)


def test_hooks_run_what_make_check_runs():
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    hooks = re.findall(r"entry: \.venv/bin/python (.*)", (ROOT / ".pre-commit-config.yaml").read_text())
    commands = re.findall(r"\$\(RUN\) (-m .*)", recipe.group(1))
    # A hook puts the format right where `make check` only complains.
    assert hooks == [command.replace(" --check", "") for command in commands]
