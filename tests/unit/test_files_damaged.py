"""Files that are not what they say: found before anything is built, refused by name, and without traces."""

import json
import random
import struct
import time

import pytest
import torch
from safetensors.torch import save_file

from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, functions, serialize
from kan2.errors import Kan2Error, SerializationError
from kan2.functions import SymbolicFunction
from kan2.functions.table import withdraw
from kan2.serialize.formula import Formula

OLD = {"format": serialize.FORMAT, "functions": "[]", "frozen": "[]"}
ROW = {
    "name": "of-a-file", "sympy": "x**2 + 1", "complexity": 3, "gauge": "affine", "domain": [None, None], "shape": None,
    "inverse": None, "reference": "", "latex": "", "is_slow": False,
}  # fmt: skip


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.kan"


def write_old(path, model, **changes):
    """Writes a file as versions without checksum did."""
    tensors = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors |= {name: value for name, value in changes.items() if isinstance(value, torch.Tensor)}
    texts = {name: value for name, value in changes.items() if isinstance(value, str)}
    save_file(tensors, path, {**OLD, "spec": model.spec.to_json(), **texts})


def with_header(path, edit):
    """Rewrites the header of a file as text."""
    whole = path.read_bytes()
    n = struct.unpack("<Q", whole[:8])[0]
    text = edit(whole[8 : 8 + n].decode()).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + whole[8 + n :])


def refused(path, message):
    with pytest.raises(SerializationError, match=message) as caught:
        MultKAN.load(path)
    assert path.name in str(caught.value)


def test_every_flipped_bit_is_found(path):
    MultKAN([1, 1], grid=1, k=1).save(path)
    whole = path.read_bytes()
    for place in random.Random(0).sample(range(8 * len(whole)), 200):
        damaged = bytearray(whole)
        damaged[place // 8] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(SerializationError):
            MultKAN.load(path)


def test_a_changed_text_is_found(path):
    MultKAN([2, 1], inputs=["a", "b"]).save(path)
    with_header(path, lambda text: text.replace(r"\"a\"", r"\"c\""))
    refused(path, "checksum")


def test_a_checksum_does_not_depend_on_the_order_of_the_file(path):
    model = MultKAN([2, 1])
    model.save(path)
    with_header(path, lambda text: json.dumps(dict(sorted(json.loads(text).items(), reverse=True)), indent=1))
    assert torch.equal(MultKAN.load(path).layers[0].numeric.weight, model.layers[0].numeric.weight)


def test_a_file_without_checksum_loads_and_one_with_another_text_does_not(path):
    model = MultKAN([2, 1])
    write_old(path, model)
    assert MultKAN.load(path).spec == model.spec
    write_old(path, model, chacksum="0" * 64)
    refused(path, "chacksum")


def layer(**changes):
    return {"n_in": 2, "n_sum": 1, "arities": [], "numeric": "all", "terms": [], "affine_trainable": False,
            "basis": {"kind": "bspline", "grid": 5, "k": 3, "base_fun": "silu"}} | changes  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_in": 1_000_000, "n_sum": 1_000_000}, "shape"),
        ({"n_in": 10**9}, "n_in"),
        ({"basis": {"grid": 100_000, "base_fun": "silu"}}, "shape"),
        ({"basis": {"kind": "fourier", "base_fun": "silu"}}, "other tensors"),
        ({"basis": {"kind": "nonsense"}}, "nonsense"),
        ({"terms": [{"target": 0, "source": 0, "function": "sin"}] * 9}, "other tensors"),
        ({"terms": [{"target": 0, "source": 0, "function": "no such"}]}, "no such"),
        ({"numeric": [[0, 7]]}, "source 7"),
        ({"arities": [999_999] * 3}, "subnodes"),
    ],
)
def test_a_spec_with_other_sizes_than_the_tensors_is_refused_at_once(path, changes, message):
    write_old(path, MultKAN([2, 1]), spec=json.dumps({"format": 1, "layers": [layer(**changes)], "auxiliary": []}))
    start = time.process_time()
    refused(path, message)
    assert time.process_time() - start < 2


def entry(**changes):
    # On the first tensor, whose numbers begin the data.
    def edit(text):
        header = json.loads(text)
        name = min((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"][0])
        header[name] |= changes
        return json.dumps(header)

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (entry(shape=[2**40, 2**40]), "as many bytes as"),
        (entry(shape=[-1]), "whole number"),
        (entry(shape=[True]), "whole number"),
        (entry(dtype="I64"), "F64"),
        (entry(dtype=["F64"]), "F64"),
        (entry(data_offsets=[8, 16]), "the bytes of"),
        (entry(data_offsets=[0, 2**63]), "whole number"),
        (lambda text: text.replace('"dtype"', '"dtype":"F64","dtype"', 1), "different keys"),
        (lambda text: text.replace('"shape":[', '"shape":[NaN,', 1), "NaN"),
        (lambda text: "[" * 50_000, "object"),
        (lambda text: '{"a":' + "[" * 50_000, "nested too deeply"),
        (lambda text: '{"__metadata__":{"format":[]}}', "__metadata__|text"),
        (lambda text: "[]", "object"),
        (lambda text: text + "x", "JSON"),
    ],
)
def test_a_header_that_contradicts_itself_or_the_file_is_refused(path, edit, message):
    MultKAN([2, 1]).save(path)
    with_header(path, edit)
    refused(path, message)


@pytest.mark.parametrize("change", [lambda b: b[:-1], lambda b: b + b"\0", lambda b: b[:9], lambda b: b[:8]])
def test_files_of_another_length_are_refused(path, change):
    MultKAN([2, 1]).save(path)
    path.write_bytes(change(path.read_bytes()))
    refused(path, "cut off|after the header")


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("numeric.basis.grid", lambda t: t[:, :-1], "shape"),
        ("numeric.basis.grid", lambda t: t.flip(1), "increase"),
        ("numeric.basis.grid", lambda t: t * torch.nan, "finite"),
        ("numeric.basis.grid", lambda t: t.float(), "type"),
        ("numeric.basis.home", lambda t: t.flip(1), "home"),
        ("numeric.basis.home", lambda t: t.T, "shape"),
        ("numeric.basis.pieces", lambda t: t[..., 1:], "shape"),
        ("numeric.basis.pieces", lambda t: t * torch.inf, "finite"),
        ("numeric.weight", lambda t: t * torch.nan, "finite"),
        ("node_scale", lambda t: t.long(), "I64"),
    ],
)
def test_buffers_are_checked_like_parameters(path, name, change, message):
    model = MultKAN([3, 1])
    name = f"layers.0.{name}"
    write_old(path, model, **{name: change(model.state_dict()[name]).contiguous()})
    refused(path, message)


@pytest.mark.parametrize("frozen", ["{}", "[1]", '["layers.0.no_such"]', "[[[", '"layers"'])
def test_frozen_parameters_must_exist(path, frozen):
    write_old(path, MultKAN([2, 1]), frozen=frozen)
    refused(path, "frozen|list|JSON|text")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sympy": "x +"}, "formula"),
        ({"sympy": "__import__('os').getcwd()"}, "__import__|formula"),
        ({"sympy": "y + 1"}, "'y'"),
        ({"sympy": "3"}, "constant"),
        ({"sympy": "x + 9**9**9**9"}, "constant"),
        ({"sympy": "x + 1/0"}, "constant"),
        ({"sympy": "x + (-8)**0.5"}, "constant"),
        ({"sympy": "x.real"}, "Attribute"),
        ({"sympy": "(lambda: x)()"}, "Call|formula"),
        ({"sympy": "(" * 500 + "x" + ")" * 500}, "nested"),
        ({"sympy": "x" * 30_000}, "characters"),
        ({"sympy": 3}, "text"),
        ({"sympy": "sign(x)"}, None),
        ({"inverse": "no such"}, "inverse"),
        ({"inverse": ["sin"]}, "inverse"),
        ({"gauge": "none"}, "gauge"),
        ({"complexity": -1}, "complexity"),
        ({"complexity": True}, "complexity"),
        ({"domain": [1, 1]}, "domain"),
        ({"domain": [None]}, "domain"),
        ({"shape": "1"}, "shape"),
        ({"name": "sin"}, "package"),
        ({"name": "ln"}, "stands for"),
        ({"name": ""}, "name"),
        ({"is_slow": 1}, "is_slow"),
        ({"more": 1}, "more"),
    ],
)
def test_broken_functions_are_refused_and_leave_nothing_behind(path, changes, message, with_checksum):
    row = {**ROW, **changes}
    term = {"target": 0, "source": 0, "function": str(row["name"])}
    model = MultKAN.from_spec(NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "sin"),)),)))
    spec = json.loads(model.spec.to_json())
    spec["layers"][0]["terms"] = [term]
    before = functions.names()
    with_checksum(path, model, spec=json.dumps(spec), functions=json.dumps([row]))
    if message is None:
        assert MultKAN.load(path)(torch.ones(1, 1)).item() == 1
        withdraw(functions.get(row["name"]))
    else:
        refused(path, message)
    assert functions.names() == before


@pytest.fixture
def with_checksum():
    def write(path, model, **texts):
        write_old(path, model, **texts)
        metadata = {**OLD, "spec": model.spec.to_json(), **texts}
        tensors = model.state_dict()
        parts = [(n, serialize.container.NAMES[t.dtype], tuple(t.shape), serialize.container.as_bytes(t))
                 for n, t in tensors.items()]  # fmt: skip
        write_old(path, model, **texts, checksum=serialize.container.checksum(metadata, parts))

    return write


@pytest.mark.parametrize("key", sorted(set(ROW) - {"latex", "is_slow"}))
def test_functions_with_missing_parts_are_refused(path, key):
    write_old(path, MultKAN([1, 1]), functions=json.dumps([{k: v for k, v in ROW.items() if k != key}]))
    refused(path, key)
    assert ROW["name"] not in functions.names()


def test_functions_of_a_file_that_is_refused_later_are_taken_back(path):
    write_old(path, MultKAN([1, 1]), functions=json.dumps([ROW]), frozen='["layers.0.no_such"]')
    refused(path, "no_such")
    assert ROW["name"] not in functions.names()
    write_old(path, MultKAN([1, 1]), functions=json.dumps([ROW, ROW]))
    refused(path, "two functions")
    assert ROW["name"] not in functions.names()


@pytest.mark.usefixtures("unchecked")
def test_a_formula_that_keeps_sympy_busy_is_read_at_once(path):
    hostile = "Max(" + ", ".join(f"sin({i}*x)" for i in range(1, 300)) + ")"
    write_old(path, MultKAN([1, 1]), functions=json.dumps([{**ROW, "sympy": hostile}]))
    start = time.process_time()
    MultKAN.load(path)
    MultKAN.load(path)
    assert time.process_time() - start < 2
    x = torch.linspace(0, 3, 7, dtype=torch.float64)
    values = functions.get(ROW["name"])(x)
    withdraw(functions.get(ROW["name"]))
    assert torch.equal(values, torch.stack([torch.sin(i * x) for i in range(1, 300)]).amax(0))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1/(x**2 + 1)", lambda x, p: 1 / (x**2 + 1)),
        ("-x**2 - 3*x/7 - p", lambda x, p: -(x**2) - 3 * x / 7 - p),
        ("2**x*exp(-x/p)", lambda x, p: 2**x * torch.exp(-x / p)),
        ("sqrt(2)*log(x)/log(10)", lambda x, p: 2**0.5 * torch.log(x) / torch.log(torch.tensor(10.0).double())),
        ("Max(0, x - 1) + Min(p, x, pi)", lambda x, p: (x - 1).clamp_min(0) + torch.minimum(p, x).clamp_max(torch.pi)),
        ("x**p*Abs(sin(x + E))", lambda x, p: x**p * torch.sin(x + torch.e).abs()),
        (" + ".join(["x"] * 900), lambda x, p: 900 * x),
    ],
)
def test_formulas_of_files_are_evaluated_as_they_read(text, expected):
    x = torch.linspace(0.3, 2.5, 9, dtype=torch.float64)
    p = torch.full_like(x, 1.7)
    torch.testing.assert_close(Formula(text, ["x", "p"])(x, p), expected(x, p), rtol=1e-12, atol=0)


def test_networks_that_could_not_be_read_again_are_not_written(path):
    model = MultKAN([1, 1])
    model.save(path)
    before = path.read_bytes()
    with torch.no_grad():
        model.layers[0].numeric.weight[0, 0, 0] = torch.inf
    with pytest.raises(SerializationError, match=r"finite in layers\.0\.numeric\.weight"):
        model.save(path)
    for other in (MultKAN([1, 1]).to("meta"), MultKAN([1, 1], inputs=["\ud800"])):
        with pytest.raises(SerializationError, match="save: expected a network"):
            other.save(path)
    half = MultKAN([1, 1])
    half.layers[0].node_scale.data = half.layers[0].node_scale.data.float()
    with pytest.raises(SerializationError, match="type"):
        half.save(path)
    assert path.read_bytes() == before


def test_layers_of_different_types_come_back(path):
    model = MultKAN([2, 2, 1], basis="chebyshev")
    model.layers[1].float()
    model.save(path)
    read = MultKAN.load(path)
    assert [layer.node_scale.dtype for layer in read.layers] == [torch.float64, torch.float32]
    x = torch.rand(5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert torch.equal(read(x), model(x))


def test_an_input_may_be_called_outside(path):
    model = MultKAN([1, 1], inputs=["outside"])
    write_old(path, model)
    with_header(path, lambda text: text.replace(r", \"outside\": \"tangent\"", ""))
    assert MultKAN.load(path).spec.layers[0].basis.outside == "base"


def test_an_inverse_comes_along_where_it_is_known(path):
    row = SymbolicFunction("times-two", lambda u: 2 * u, lambda u: 2 * u, 3, inverse="only-here")
    functions.register(row)
    try:
        MultKAN.from_spec(NetworkSpec((LayerSpec(1, 1, numeric=(), terms=(SymbolicTerm(0, 0, "times-two"),)),))).save(
            path
        )
    finally:
        withdraw(row)
    model = MultKAN.load(path)
    assert functions.get("times-two").inverse is None
    assert str(model.symbolic_formula()) == "2*x1"
    withdraw(functions.get("times-two"))
    with pytest.raises(Kan2Error):
        functions.get("times-two")
