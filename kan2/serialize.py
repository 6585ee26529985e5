"""Networks in one file: tensors as safetensors, the spec as JSON in the file's metadata.

Loading executes nothing from the file. A symbolic function that a user registered is stored with its SymPy text; when
the file is read where it is not registered, it is rebuilt from that text.

Reference: https://huggingface.co/docs/safetensors
"""

import json
import os
from pathlib import Path
from typing import Any

import sympy
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes
from torch import nn

from kan2 import functions
from kan2.core.network import AnyNetwork, Network
from kan2.core.spec import NetworkSpec
from kan2.errors import Kan2Error, SerializationError
from kan2.expressions.evaluate import evaluate
from kan2.expressions.parse import parse_expression
from kan2.functions import SymbolicFunction

FORMAT = "kan2 network 1"


def save(model: Network, path: str | Path) -> None:
    """Writes a network to one file, all at once: a crash leaves the old file or the new one.

    Args:
        model: the network.
        path: of the file; an existing one is replaced.

    Raises:
        SerializationError: a registered function cannot be written as a formula.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "net.safetensors"
        >>> from kan2 import MultKAN
        >>> save(MultKAN([2, 1]), path)
        >>> MultKAN.load(path).width
        [[2, 0], [1, 0]]
    """
    used = [functions.get(name) for name in sorted({t.function for layer in model.spec.layers for t in layer.terms})]
    metadata = {
        "format": FORMAT,
        "spec": model.spec.to_json(),
        "functions": json.dumps([_describe(row) for row in used if not _is_built_in(row)]),
        "frozen": json.dumps([name for name, p in model.named_parameters() if not p.requires_grad]),
    }
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(to_bytes(tensors, metadata))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load(cls: type[AnyNetwork], path: str | Path, map_location: torch.device | str | None = None) -> AnyNetwork:
    """Reads a network that `save` wrote; it is the same bit for bit.

    Args:
        cls: the class to build.
        path: of the file.
        map_location: device of the network; by default the CPU.

    Raises:
        FileNotFoundError: no such file.
        SerializationError: not a file of a network, or of a version that is not known.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"load: no file {str(path)!r}.")
    try:
        with safe_open(path, framework="pt", device=str(map_location or "cpu")) as file:
            metadata = file.metadata() or {}
            # Copies, which lie in memory as tensors of torch do: sums of products depend on that in the last bit.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise SerializationError(f"load: expected a file written by save, got {path.name!r}: {error}.") from error
    if metadata.get("format") != FORMAT:
        raise SerializationError(
            f"load: expected a file of format {FORMAT!r}, got {metadata.get('format')!r} in {path.name!r}. "
            "Write it with kan2.save of this version."
        )
    try:
        for row in json.loads(metadata["functions"]):
            _restore(row)
        spec = NetworkSpec.from_json(metadata["spec"])
        like = next((t for name, t in tensors.items() if name.endswith("node_scale")))
        model = cls.from_spec(spec, dtype=like.dtype, device=like.device)
        if "outside" not in metadata["spec"]:
            # Written before base functions had a coordinate: the network just built has the one they were seen in.
            tensors = {n: t for n, t in model.state_dict().items() if n.endswith(".basis.home")} | tensors
        _assign(model, tensors)
        frozen = set(json.loads(metadata["frozen"]))
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name not in frozen)
    except (Kan2Error, KeyError, StopIteration, json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
        raise SerializationError(f"load: expected a complete network in {path.name!r}, got: {error}") from error
    return model


def _assign(model: Network, tensors: dict[str, torch.Tensor]) -> None:
    expected = set(model.state_dict())
    if expected != set(tensors):
        wrong = ", ".join(sorted(expected ^ set(tensors)))
        raise SerializationError(f"other tensors than the spec asks for: {wrong}.")
    parameters = dict(model.named_parameters())
    for name, tensor in tensors.items():
        if name in parameters:
            if parameters[name].shape != tensor.shape:
                raise SerializationError(f"{name} of shape {tuple(tensor.shape)}, not {tuple(parameters[name].shape)}.")
            parameters[name].data = tensor
            continue
        # Buffers of a grid depend in shape on whether it is uniform, which the spec does not say.
        owner, _, attribute = name.rpartition(".")
        module: nn.Module = model.get_submodule(owner)
        setattr(module, attribute, tensor)


def _is_built_in(row: SymbolicFunction) -> bool:
    return functions.BUILT_IN.get(row.name) is row


def _describe(row: SymbolicFunction) -> dict[str, Any]:
    x, p = sympy.Symbol("x"), sympy.Symbol("p")
    expression = row.symbol(x, p)
    text = str(expression)
    try:
        variables = ["x"] if row.shape is None else ["x", "p"]
        point = {name: torch.full((1,), 0.7, dtype=torch.float64) for name in variables}
        evaluate(parse_expression(text, names=variables, sympy_text=True), point)
    except Kan2Error as error:
        raise SerializationError(
            f"save: expected functions that can be written as formulas of elementary functions, got {row.name!r} with "
            f"the SymPy form {text}. Keep the network in memory, or pickle it and register the function when reading."
        ) from error
    domain = [None if abs(end) == float("inf") else end for end in row.domain]
    return {
        "name": row.name, "sympy": text, "complexity": row.complexity, "gauge": row.gauge, "domain": domain,
        "shape": row.shape, "inverse": row.inverse, "reference": row.reference,
        "latex": row.latex, "is_slow": row.is_slow,
    }  # fmt: skip


def _restore(row: dict[str, Any]) -> None:
    if row["name"] in functions.names():
        present = functions.get(row["name"])
        if _is_built_in(present):
            raise SerializationError(f"a function {row['name']!r} of its own; register it before reading.")
        if any(_describe(present)[key] != row[key] for key in ("sympy", "shape", "domain")):
            raise SerializationError(
                f"the function {row['name']!r} = {row['sympy']}, but another one of this name is registered. "
                "Read the file in another session, or register its function with replace=True before."
            )
        return
    variables = ["x"] if row["shape"] is None else ["x", "p"]
    expression = parse_expression(row["sympy"], names=variables, sympy_text=True)
    symbols = [sympy.Symbol(name) for name in variables]
    low, high = row["domain"]
    functions.register(
        SymbolicFunction(
            name=row["name"],
            torch=lambda *values: evaluate(expression, dict(zip(variables, values))),
            sympy=lambda *values: expression.subs(dict(zip(symbols, values)), simultaneous=True),
            complexity=row["complexity"],
            gauge=row["gauge"],
            domain=(-float("inf") if low is None else low, float("inf") if high is None else high),
            shape=row["shape"],
            inverse=row["inverse"],
            reference=row["reference"],
            latex=row.get("latex", ""),
            is_slow=row.get("is_slow", False),
        )
    )
