"""A thousand damaged files and a thousand damaged texts: each is refused by type, or read as what it says.

Run with -s to see the figures.
"""

import copy
import json
import random
import resource
import struct
import time
from collections import Counter

import pytest
import safetensors.torch
import torch

import treeconv
from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, functions
from kan2.errors import Kan2Error, SerializationError, SpecError
from kan2.functions import SymbolicFunction
from kan2.functions.table import withdraw
from kan2.serialize import container
from treeconv.errors import TreeError

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked")]

N = 1000
SECONDS, BYTES = 2.0, 2**30

NASTY = [
    None, True, False, 0, 1, -1, 2, 7, 10**6, 10**9, 2**63, 10**400, 0.5, -0.0, 1e308, float("nan"), float("inf"), "", "x",
    "sin", "all", "power", "\ud800", "9**9**9**9", "Max(" + ", ".join(f"sin({i}*x)" for i in range(99)) + ")", "a" * 5000,
    "__import__('os')", "gamma(gamma(gamma(9)))", "x" * 30_000, [], {}, [[]], [None], ["x", "x"], {"a": 1}, [0, 0], [[0, 0]],
]  # fmt: skip


def places(data, path=()):
    yield path
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, part in steps:
        yield from places(part, (*path, step))


def edited(data, rng):
    """Returns JSON data with one place changed."""
    data = copy.deepcopy(data)
    path = rng.choice(list(places(data))[1:] or [()])
    if not path:
        return rng.choice(NASTY)
    owner = data
    for step in path[:-1]:
        owner = owner[step]
    step, value = path[-1], owner[path[-1]]
    kind = rng.randrange(6)
    if kind == 0:
        del owner[step]
    elif kind == 1 and isinstance(owner, list):
        owner.insert(step, copy.deepcopy(value))
    elif kind == 2 and isinstance(owner, dict):
        owner[rng.choice(["", "more", str(step) + "x"])] = owner.pop(step)
    elif kind == 3 and isinstance(value, int | float):
        owner[step] = value + rng.choice([-1, 1, 0.5, 10**7])
    elif kind == 4:
        for _ in range(rng.choice([3, 300, 3000])):
            value = [value]
        owner[step] = value
    else:
        owner[step] = rng.choice(NASTY)
    return data


def as_text(data):
    try:
        return json.dumps(data)
    except (RecursionError, ValueError):
        return "[" * 100_000


def damaged_text(text, rng):
    """Returns a text with some letters changed, lost, doubled or moved."""
    letters = list(text)
    for _ in range(rng.choice([1, 1, 2, 5])):
        at, other = rng.randrange(len(letters)), rng.randrange(len(letters))
        kind = rng.randrange(5)
        if kind == 0:
            letters[at] = chr(ord(letters[at]) ^ 1 << rng.randrange(7))
        elif kind == 1:
            del letters[min(at, other) : min(at, other) + rng.choice([1, 3, 30])]
        elif kind == 2:
            letters[at:at] = letters[other : other + rng.choice([1, 5, 50])]
        elif kind == 3:
            letters[at], letters[other] = letters[other], letters[at]
        else:
            letters[at] = rng.choice(['"', "{", "[", "]", "}", ",", ":", "9", "-", "e", "NaN", "\\", "\0"])
        letters = letters or [" "]
    return "".join(letters)


def split(whole):
    n = struct.unpack("<Q", whole[:8])[0]
    return json.loads(whole[8 : 8 + n]), whole[8 + n :]


def joined(header, data):
    text = (header if isinstance(header, str) else as_text(header)).encode("utf-8", "replace")
    return struct.pack("<Q", len(text)) + text + data


def signed(header, data):
    """Returns a file whose checksum is right, however wrong the rest is."""
    metadata = header["__metadata__"]
    parts = [(name, part["dtype"], tuple(part["shape"]), memoryview(data)[slice(*part["data_offsets"])])
             for name, part in header.items() if name != "__metadata__"]  # fmt: skip
    metadata["checksum"] = container.checksum(metadata, parts)
    return joined(header, data)


def damage(whole, other, rng):
    """Returns (kind of damage, file, whether the checksum was made anew)."""
    kind = rng.choice(["bits", "cut", "swapped", "spliced", "metadata", "functions", "numbers", "header", "old"])
    header, data = split(whole)
    if kind == "bits":
        changed = bytearray(whole)
        for _ in range(rng.choice([1, 1, 1, 2, 8])):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return kind, bytes(changed), False
    if kind == "cut":
        n = rng.randrange(len(whole))
        return kind, rng.choice([whole[:n], whole[n:], whole + whole[n:], whole[:n] + whole[n + 1 :]]), False
    if kind == "swapped":
        a, b, n = rng.randrange(len(whole)), rng.randrange(len(whole)), rng.choice([1, 4, 8, 64])
        changed = bytearray(whole)
        changed[a : a + n], changed[b : b + n] = whole[b : b + n], whole[a : a + n]
        return kind, bytes(changed), False
    if kind == "spliced":
        n = rng.randrange(len(whole))
        return kind, rng.choice([whole[:n] + other[n:], joined(header, split(other)[1])]), False
    if kind == "header":
        return kind, joined(rng.choice([edited(header, rng), damaged_text(json.dumps(header), rng)]), data), False
    texts = header["__metadata__"]
    if kind == "old":  # without checksum, as it was once
        del texts["checksum"]
        changed = bytearray(joined(header, data))
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        return kind, bytes(changed), True
    if kind == "numbers":
        at = 4 * rng.randrange(len(data) // 4)
        new = struct.pack("<f", rng.choice([float("nan"), float("inf"), 1e30, -1e-30, 0.0]))
        return kind, signed(header, data[:at] + new + data[at + 4 :]), True
    name = "functions" if kind == "functions" else rng.choice(["spec", "spec", "spec", "frozen", "format"])
    if name == "format" or rng.random() < 0.3:
        texts[name] = damaged_text(texts[name], rng)
    else:
        texts[name] = as_text(edited(json.loads(texts[name]), rng))
    try:
        return kind, signed(header, data), True
    except UnicodeError:
        return kind, joined(header, data), True


@pytest.fixture
def files(tmp_path):
    """Writes networks of all kinds, and returns what the files hold."""
    row = functions.register(
        SymbolicFunction("fuzz-bump", lambda u: 1 / (1 + u * u), lambda u: 1 / (1 + u**2), 3, inverse="exp"),
        replace=True,
    )
    layer = LayerSpec(2, 1, (2,), numeric=((0, 1),), terms=(SymbolicTerm(0, 0, "fuzz-bump"), SymbolicTerm(2, 1, "sin")))
    x = torch.rand(200, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) ** 2 + 0.1
    adaptive = MultKAN([2, [2, 1], 1], grid=3, grid_eps=0.2, inputs=["v", "c"]).augment({"beta": "v/c"})
    adaptive.fit((x, x[:, 0] / x[:, 1]), steps=1)
    models = [
        adaptive,
        MultKAN.from_spec(NetworkSpec((layer, LayerSpec(2, 1)), inputs=("a", "b"))),
        MultKAN([2, 1], basis="chebyshev", dtype=torch.float32),
        MultKAN([1, 2, 1], grid=2, k=2),
    ]
    found = []
    for model in models:
        model.save(tmp_path / "net.kan")
        found.append((tmp_path / "net.kan").read_bytes())
    withdraw(row)
    return found


def says(path, model):
    """Checks that a network is what its file says, by another reader than ours, and can be used or refuses by type."""
    header = split(path.read_bytes())[0]
    spec = json.loads(header["__metadata__"]["spec"])
    tensors = safetensors.torch.load_file(path)
    assert {"format": 1, **json.loads(model.spec.to_json())}.keys() >= spec.keys()
    assert NetworkSpec.from_json(json.dumps(spec)) == model.spec
    state = model.state_dict()
    assert all(
        torch.equal(state[name], tensor) and state[name].dtype == tensor.dtype for name, tensor in tensors.items()
    )
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert frozen == set(json.loads(header["__metadata__"]["frozen"]))
    try:
        assert model(torch.full((3, len(model.spec.inputs)), 0.4)).shape == (3, len(model.spec.outputs))
    except Kan2Error:  # a definition of an auxiliary variable that is none
        assert model.spec.auxiliary


def watched(work, slowest):
    """Runs something and holds its time and memory against the limits."""
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        return work()
    finally:
        slowest[0] = max(slowest[0], seconds := time.process_time() - start)
        slowest[1] = max(slowest[1], grown := 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
        assert seconds < SECONDS
        assert grown < BYTES


def test_a_thousand_damaged_files(files, tmp_path):
    rng, path, known = random.Random(20), tmp_path / "damaged.kan", functions.names()
    counts: Counter[tuple[str, str]] = Counter()
    reasons, worst = set(), [0.0, 0]
    for _ in range(N):
        whole, other = rng.sample(files, 2)
        kind, content, is_signed = damage(whole, other, rng)
        path.write_bytes(content)
        try:
            model = watched(lambda: MultKAN.load(path), worst)
        except SerializationError as error:
            assert "'damaged.kan'" in str(error)
            counts[kind, "refused"] += 1
            reasons.add(str(error)[:120])
        else:
            counts[kind, "read"] += 1
            says(path, model)
            if not is_signed:
                original = tmp_path / "whole.kan"
                original.write_bytes(whole)
                same = MultKAN.load(original)
                state = model.state_dict()
                assert model.spec == same.spec
                assert all(torch.equal(state[name], tensor) for name, tensor in same.state_dict().items())
            for name in set(functions.names()) - set(known):
                withdraw(functions.get(name))
        assert functions.names() == known
    print(f"\n{N} files: {dict(sorted(counts.items()))}, {len(reasons)} reasons, at most {worst[0]:.2f} s, "
          f"{worst[1] / 1e6:.0f} MB")  # fmt: skip
    read = sum(n for (_, what), n in counts.items() if what == "read")
    assert 10 < read < N / 2
    assert len(reasons) > 50


def test_a_thousand_damaged_descriptions():
    rng, counts, worst = random.Random(21), Counter(), [0.0, 0]
    spec = NetworkSpec(
        (
            LayerSpec(3, 1, (2, 3), numeric=((0, 1), (3, 2)), terms=(SymbolicTerm(0, 0, "sin", "ab"),)),
            LayerSpec(3, 2, affine_trainable=True),
        ),
        inputs=("a", "b"), features=("a", "g", "b"), auxiliary=(("g", "a*b"),),
    )  # fmt: skip
    x = torch.rand(200, 5, generator=torch.Generator().manual_seed(0)) + 1
    tree = treeconv.convert(lambda x: x[:, 0] * torch.sin(x[:, 1] + x[:, 2]) + x[:, 3] ** 2 + 0 * x[:, 4], x)
    kinds = [
        ("spec", spec.to_json(), NetworkSpec.from_json, SpecError),
        ("tree", treeconv.to_json(tree), treeconv.from_json, TreeError),
    ]
    for i in range(N):
        name, text, read, refusal = kinds[i % 2]
        changed = damaged_text(text, rng) if rng.random() < 0.5 else as_text(edited(json.loads(text), rng))
        try:
            found = watched(lambda: read(changed), worst)
        except refusal as error:
            assert "from_json: expected" in str(error)
            counts[name, "refused"] += 1
            continue
        counts[name, "read"] += 1
        if name == "spec":
            assert NetworkSpec.from_json(found.to_json()) == found
        else:
            again = treeconv.from_json(treeconv.to_json(found))
            assert str(again) == str(found)
            assert treeconv.structure(again) == treeconv.structure(found)
            assert treeconv.compare(again, found)["same"]
    print(f"\n{N} texts: {dict(sorted(counts.items()))}, at most {worst[0]:.2f} s, {worst[1] / 1e6:.0f} MB")
    assert all(counts[name, what] > 5 for name in ("spec", "tree") for what in ("read", "refused"))
