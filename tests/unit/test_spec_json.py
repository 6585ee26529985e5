"""Descriptions of networks and trees as JSON: whatever the text, a refusal is typed and says where."""

import json
import time

import pytest
import torch

import treeconv
from kan2 import LayerSpec, NetworkSpec, SymbolicTerm
from kan2.core.strict_json import JSONError, integer, list_of, read_json, record
from kan2.errors import SpecError
from treeconv.errors import TreeError

SPEC = NetworkSpec((LayerSpec(2, 1, (2,), terms=(SymbolicTerm(0, 1, "sin"),)), LayerSpec(2, 1, numeric=((0, 1),))))


def edited(*path, value):
    data = json.loads(SPEC.to_json())
    place = data
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(data)


LAYER, TERM, BASIS = ("layers", 0), ("layers", 0, "terms", 0), ("layers", 0, "basis")
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (edited("layers", value=[]), "at least one layer"),
        (edited("layers", value={}), "a list, got {} at layers"),
        (edited("layers", value=[3]), r"an object, got 3 at layers\[0\]"),
        (edited(*LAYER, "n_in", value=10**9), r"got 1000000000 at layers\[0\]\.n_in"),
        (edited(*LAYER, "n_in", value=2.0), r"got 2\.0 at layers\[0\]\.n_in"),
        (edited(*LAYER, "n_in", value=True), "got True"),
        (edited(*LAYER, "n_in", value=10**4000), r"at layers\[0\]\.n_in"),
        (edited(*LAYER, "n_sum", value=-1), "got -1"),
        (edited(*LAYER, "n_in", value=3), "sources|to read|features"),
        (edited(*LAYER, "arities", value="2"), "arities"),
        (edited(*LAYER, "arities", value=[0]), r"arities\[0\]"),
        (edited(*LAYER, "arities", value=[10**6, 10**6]), "subnodes"),
        (edited(*LAYER, "numeric", value="some"), "numeric"),
        (edited(*LAYER, "numeric", value=[[0]]), r"a list of 2, got \[0\] at layers\[0\]\.numeric\[0\]"),
        (edited(*LAYER, "numeric", value=[[0, "1"]]), r"numeric\[0\]\[1\]"),
        (edited(*LAYER, "numeric", value=[[0, 9]]), "source 9"),
        (edited(*LAYER, "more", value=1), "more"),
        (edited(*LAYER, "affine_trainable", value=1), "true or false"),
        (edited(*TERM, "function", value="sinn"), "Did you mean 'sin'"),
        (edited(*TERM, "function", value=["sin"]), r"terms\[0\]\.function"),
        (edited(*TERM, "target", value=7), "target 7"),
        (edited(*TERM, "free", value="xyz"), "letters"),
        (edited(*TERM, "free", value=None), "free"),
        (edited(*BASIS, "grid", value=10**6), r"basis\.grid"),
        (edited(*BASIS, "k", value="3"), r"basis\.k"),
        (edited(*BASIS, "grid_eps", value=2), "grid_eps"),
        (edited(*BASIS, "grid_eps", value=None), "grid_eps"),
        (edited(*BASIS, "outside", value="both"), "outside"),
        (edited(*BASIS, "margin", value=float("nan")), "NaN"),
        (edited(*BASIS, "margin", value=float("inf")), "Infinity"),
        (edited(*BASIS, value=3), "an object, got 3"),
        (SPEC.to_json().replace("0.05", "1e999"), "range of float64"),
        (SPEC.to_json().replace('"n_sum"', '"n_in": 3, "n_sum"', 1), "different keys, got 'n_in'"),
        (edited("format", value=1.0), "format 1, got 1.0"),
        (edited("format", value=True), "format 1, got True"),
        (edited("format", value=2), "newer kan2"),
        (edited("inputs", value=["a", "a"]), "different names"),
        (edited("inputs", value=["\ud800", "b"]), "inputs"),
        (edited("inputs", value="ab"), "inputs"),
        (edited("features", value=["q", "b"]), "features among"),
        (edited("auxiliary", value=[["a"]]), "auxiliary"),
        (edited("auxiliary", value=[["a", 3]]), r"auxiliary\[0\]\[1\]"),
        (edited("outputs", value=["u", "v"]), "1 outputs"),
        (DEEP, "nested too deeply"),
        (edited("inputs", value=0).replace("0", DEEP), "nested too deeply|JSON"),
        ("1" * 10_000, "JSON"),
        ("nul", "line 1, column 1"),
        (None, "JSON"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_every_wrong_place_of_a_spec_is_refused_and_named(text, message):
    with pytest.raises(SpecError, match=message) as caught:
        NetworkSpec.from_json(text)
    assert len(str(caught.value)) < 1000


def test_a_spec_of_many_names_is_read_in_little_time():
    layer = {**json.loads(SPEC.to_json())["layers"][0], "n_in": 200_000, "terms": [], "arities": [], "n_sum": 200_000}
    start = time.process_time()
    spec = NetworkSpec.from_json(json.dumps({"format": 1, "layers": [layer], "auxiliary": []}))
    assert spec.inputs[-1] == "x200000"
    assert time.process_time() - start < 2


def test_checks_of_json_say_where():
    check = record({"a": list_of(record({"b": list_of(integer(0, 3))}))})
    with pytest.raises(JSONError, match=r"^expected a whole number from 0 to 3, got 7 at a\[1\]\.b\[2\]$"):
        check(read_json('{"a": [{"b": []}, {"b": [1, 2, 7]}]}'))
    assert check(read_json(b'{"a": [{"b": [1]}]}')) == {"a": ({"b": (1,)},)}
    with pytest.raises(JSONError, match="bytes that are no text"):
        read_json(b'"\xff"')


@pytest.fixture(scope="module")
def tree():
    x = torch.rand(200, 4, generator=torch.Generator().manual_seed(0)) + 1
    return treeconv.convert(lambda x: x[:, 0] * torch.sin(x[:, 1] + x[:, 2]) + 0 * x[:, 3], x)


def change(data, *path, value):
    for step in path[:-1]:
        data = data[step]
    data[path[-1]] = value


@pytest.mark.parametrize(
    "edit",
    [
        lambda d: change(d, "graph", value=[]),
        lambda d: change(d, "graph", "root", value=7),
        lambda d: change(d, "graph", "root", value="x1"),
        lambda d: change(d, "graph", "root", value=[0]),
        lambda d: change(d, "graph", "names", value=["x1"]),
        lambda d: change(d, "graph", "names", value=["x1"] * 4),
        lambda d: change(d, "graph", "names", value="abcd"),
        lambda d: change(d, "graph", "irrelevant", value=["x1"]),
        lambda d: change(d, "graph", "irrelevant", value=[]),
        lambda d: change(d, "graph", "irrelevant", value=["x9"]),
        lambda d: change(d, "graph", "output", value="0"),
        lambda d: change(d, "graph", "settings", value=3),
        lambda d: change(d, "graph", "settings", value={"a": json.loads("[" * 50 + "]" * 50)}),
        lambda d: change(d, "graph", "interrupted", value=0),
        lambda d: change(d, "multigraph", value=True),
        lambda d: change(d, "directed", value=False),
        lambda d: change(d, "nodes", value={}),
        lambda d: change(d, "nodes", 0, value=3),
        lambda d: change(d, "nodes", 0, "kind", value="quotient"),
        lambda d: change(d, "nodes", 0, "kind", value=["sum"]),
        lambda d: change(d, "nodes", 0, "id", value=[1]),
        lambda d: change(d, "nodes", 0, "id", value=-1),
        lambda d: change(d, "nodes", 0, "id", value="0"),
        lambda d: change(d, "nodes", 2, "id", value=0),
        lambda d: change(d, "nodes", 0, "inputs", value=["x1"]),
        lambda d: change(d, "nodes", 0, "inputs", value=3),
        lambda d: change(d, "nodes", 2, "inputs", value=[]),
        lambda d: change(d, "nodes", 0, "score", value="small"),
        lambda d: change(d, "nodes", 0, "score", value=None),
        lambda d: change(d, "nodes", 0, "bias", value=[1]),
        lambda d: change(d, "nodes", 0, "nearest", value=1),
        lambda d: d["nodes"][0].pop("threshold"),
        lambda d: d["nodes"].pop(),
        lambda d: change(d, "nodes", 0, "threshold", value=10**400),
        lambda d: change(d, "edges", value=None),
        lambda d: d["edges"].pop(),
        lambda d: d["edges"].append(dict(d["edges"][0])),
        lambda d: change(d, "edges", 0, "source", value="x9"),
        lambda d: change(d, "edges", 0, "source", value={}),
        lambda d: change(d, "edges", 0, "target", value="x2"),
        lambda d: change(d, "edges", 1, "target", value=1),
        lambda d: d["edges"].append({"source": 0, "target": 1}),
        lambda d: change(d, "edges", 0, "score", value=True),
    ],
)
def test_what_is_no_tree_is_refused(tree, edit):
    data = json.loads(treeconv.to_json(tree))
    edit(data)
    with pytest.raises(TreeError, match="from_json: expected a tree") as caught:
        treeconv.from_json(json.dumps(data))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("text", ["", "[]", DEEP, '{"a": 1, "a": 2}', "1" * 10_000, "NaN", None, b"\xff\xfe\xff", 3])
@pytest.mark.usefixtures("unchecked")
def test_other_texts_are_no_trees(text):
    with pytest.raises(TreeError, match="from_json: expected a tree"):
        treeconv.from_json(text)


def test_attributes_may_have_any_name(tree):
    data = json.loads(treeconv.to_json(tree))
    data["nodes"][0] |= {"node_for_adding": 1, "self": 2}
    data["edges"][0] |= {"u_of_edge": 3}
    read = treeconv.from_json(json.dumps(data))
    assert read.nodes[0]["node_for_adding"] == 1
    assert str(read) == str(tree)


def chain(n):
    names = [f"x{i}" for i in range(n + 1)]
    evidence = {"score": 0.0, "threshold": 1e-9}
    nodes = [{"id": name, "kind": "input", "inputs": [name], **evidence} for name in names]
    nodes += [{"id": i, "kind": "sum", "inputs": names[i:], **evidence} for i in range(n)]
    edges = [{"source": name, "target": min(i, n - 1)} for i, name in enumerate(names)]
    edges += [{"source": i + 1, "target": i} for i in range(n - 1)]
    return json.dumps({"graph": {"root": 0, "names": names, "irrelevant": []}, "nodes": nodes, "edges": edges})


def test_a_tree_that_is_too_deep_to_walk_is_refused():
    assert str(treeconv.from_json(chain(60))).count("sum") == 60
    with pytest.raises(TreeError, match="levels"):
        treeconv.from_json(chain(400))
