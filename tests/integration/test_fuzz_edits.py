"""Random sequences of edits on random networks, with right and wrong arguments mixed.

Every call ends in a valid network or in a typed error; the network it was given is the same afterwards, bit for bit.
Edits that promise the same outputs keep them; a network of functions equals its formula. Run with `-s` for the figures.
"""

import copy
import random
import resource
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf, nan
from pathlib import Path
from typing import Any

import pytest
import torch
from strategies import SMOOTH, is_well_conditioned, random_network, samples

from kan2 import MultKAN, NetworkSpec
from kan2.core.layer import KANLayer
from kan2.errors import Kan2Error
from kan2.expressions.reference_values import reference_values

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked")]

SECONDS, KILOBYTES = 2.0, 1_000_000  # of processor time and of memory that one call may take
LARGEST = 1e4  # numbers of a network whose formula is held against it
SEARCH = 20.0  # seconds for a search that refits the network after every number
NAMES = ("x", "flow rate", "T in", "v", "angle of attack", "C")

# What nobody should pass; each place of an argument gets one of them now and then.
NONSENSE = ("a", -1, 10**9, 2.5, nan, inf, None, [], [9], (9, 9, 9), (0, 0), {}, True, 1j, object())


@dataclass
class Figures:
    """What happened."""

    calls: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    formulas: int = 0
    slowest: tuple[float, str] = (0.0, "")

    def __str__(self) -> str:
        n, bad = sum(self.calls.values()), sum(self.refused.values())
        rows = [
            f"  {name:16} {self.calls[name]:4} calls, {self.refused[name]:4} refused" for name in sorted(self.calls)
        ]
        head = f"{n} calls, {bad} refused by a typed error, {self.formulas} formulas held against their networks"
        return "\n".join([head, f"slowest: {self.slowest[0]:.2f} s, {self.slowest[1]}", *rows])


def named(model: MultKAN, rng: random.Random) -> MultKAN:
    """The network with names, some of them with spaces, and now and then an auxiliary variable that is read."""
    inputs = tuple(rng.sample(NAMES, len(model.spec.inputs)))
    spec = replace(model.spec, inputs=inputs, features=inputs)
    new = MultKAN.from_layers(spec, [copy.deepcopy(layer) for layer in model.layers])
    if rng.random() < 0.3 and "x" in inputs:
        new = new.augment({"r": "x**2 + 1"})
        if rng.random() < 0.7:
            new = new.fix_symbolic((0, 0, len(inputs)), "tanh", affine=(0.5, 0, 0.3, 0))
    return new


def fingerprint(model: MultKAN) -> tuple[Any, ...]:
    """Everything that an edit of a copy must not touch."""
    numbers = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [parameter.requires_grad for parameter in model.parameters()]
    return model.spec, numbers, flags, model.training, model.is_fresh, model.smoothing, id(model.data)


def is_same(before: tuple[Any, ...], model: MultKAN) -> bool:
    spec, numbers, *rest = before
    now_spec, now_numbers, *now_rest = fingerprint(model)
    return (
        spec == now_spec
        and rest == now_rest
        and numbers.keys() == now_numbers.keys()
        and all(torch.equal(numbers[name], now_numbers[name]) for name in numbers)
    )


def check_valid(model: Any, x: torch.Tensor) -> None:
    """The spec agrees with the tensors, survives its file, and the outputs are finite."""
    assert isinstance(model, MultKAN)
    assert model.spec.layers == tuple(layer.spec for layer in model.layers)
    assert NetworkSpec.from_json(model.spec.to_json()) == model.spec
    fresh = MultKAN.from_spec(model.spec)
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    assert shapes == {name: value.shape for name, value in fresh.state_dict().items()}
    assert all(isinstance(layer, KANLayer) for layer in model.layers)
    assert all(bool(torch.isfinite(value).all()) for value in model.state_dict().values())
    with torch.no_grad():
        outputs = model(x)
    assert outputs.shape == (len(x), len(model.spec.outputs))
    assert bool(torch.isfinite(outputs).all())


@dataclass
class Edit:
    """One call: its name, what it does to a network, and whether outputs stay."""

    name: str
    call: Callable[[MultKAN], Any]
    text: str
    is_exact: bool = False


def an_edit(model: MultKAN, rng: random.Random, x: torch.Tensor, folder: Path) -> Edit:
    """A random edit with random arguments, each of which may be nonsense."""

    def maybe(value: Any) -> Any:
        return rng.choice(NONSENSE) if rng.random() < 0.08 else value

    edges = [edge.index for edge in model.spec.edges()] or [(0, 0, 0)]
    layer = rng.randint(1, max(1, len(model.layers) - 1)) if rng.random() < 0.9 else rng.randint(0, len(model.layers))
    n_nodes = sum(model.width[min(layer, len(model.layers))])
    node, other = rng.randrange(n_nodes), rng.randrange(n_nodes)
    plain = [name for name in model.spec.inputs if name.isidentifier()]
    any_edge = (rng.randrange(len(model.layers)), rng.randrange(3), rng.randrange(3))
    edge = rng.choice(edges) if rng.random() < 0.8 else any_edge
    modes = ("non-intrusive", "minimal", "all")
    n_targets = len(model.spec.outputs) if rng.random() < 0.9 else 1
    data: Any = (x, torch.sin(x.sum(1, keepdim=True)).expand(-1, n_targets))
    kinds: dict[str, Callable[[], tuple[dict[str, Any], bool]]] = {
        "prune": lambda: ({"data": maybe(x), "node_th": maybe(rng.choice((0.0, 0.01, 0.3))), "edge_th": maybe(0.05),
                           "input_th": maybe(rng.choice((None, 0.01)))}, False),
        "prune_node": lambda: ({"data": x, "threshold": maybe(0.1)} if rng.random() < 0.5 else
                               {"data": x, "active": maybe([[0]] * (len(model.layers) - 1))}, False),
        "prune_edge": lambda: ({"data": maybe(x), "threshold": maybe(0.1)}, False),
        "prune_input": lambda: ({"data": x, "threshold": maybe(0.1)} if rng.random() < 0.5 else
                                {"data": x, "active": maybe([model.spec.features[0]])}, False),
        "refine": lambda: ({"grid": maybe(rng.randint(1, 12)), "k": maybe(rng.choice((None, 1, 3)))}, False),
        "expand_width": lambda: ({"layer": maybe(layer), "n_nodes": maybe(rng.randint(1, 2)), "sum_bool":
                                  maybe(rng.random() < 0.5), "mult_arity": maybe(rng.randint(2, 3)), "seed": maybe(3)},
                                 True),
        "expand_depth": lambda: ({"layer": maybe(rng.choice((None, layer)))}, True),
        "perturb": lambda: ({"mag": maybe(0.1), "mode": (mode := maybe(rng.choice(modes)))},
                            mode == "non-intrusive"),
        "swap": lambda: ({"layer": maybe(layer), "i": maybe(node), "j": maybe(other)}, True),
        "auto_swap": lambda: ({"data": maybe(x)}, True),
        "module": lambda: ({"start_layer": maybe(rng.randrange(len(model.layers))), "chain":
                            maybe(rng.choice(("[0]->[0]", "[0,1]->[0]", "[0]->[0]->[0]->[0]", "[-1]->[-1]")))}, False),
        "remove_edge": lambda: ({"edge": maybe(edge), "data": maybe(rng.choice((None, x)))}, False),
        "remove_node": lambda: ({"layer": maybe(layer), "node": maybe(node)}, False),
        "fix_symbolic": lambda: ({"edge": maybe(edge), "data": x, **rng.choice((
            {"function": maybe(rng.choice(SMOOTH)), "affine": maybe((0.5, 0.1, 0.5, 0))},
            {"function": maybe(rng.choice((*SMOOTH, "log", "sqrt", "1/x")))}))}, False),
        "unfix_symbolic": lambda: ({"edge": maybe(edge), "data": maybe(rng.choice((None, x)))}, False),
        "simplify": lambda: ({}, True),
        "sparse": lambda: ({"neighbours": maybe(rng.randint(1, 3))}, False),
        "augment": lambda: ({"definitions": maybe({f"q{len(model.spec.auxiliary)}":
                             maybe(f"2*{rng.choice(plain)}" if plain else "nothing")})}, True),
        "snap_constants": lambda: ({"data": maybe(data), "accuracy": maybe(0.0), "max_chance": maybe(0.1)}, False),
    }  # fmt: skip
    name = rng.choice([*kinds, "save and load", "deepcopy", "fit"])
    if name == "save and load":
        path = folder / "network.safetensors"

        def through_a_file(given: MultKAN) -> MultKAN:
            given.save(path)
            return MultKAN.load(path)

        return Edit(name, through_a_file, name, True)
    if name == "deepcopy":
        return Edit(name, copy.deepcopy, name, True)
    if name == "fit":
        options = {"steps": maybe(2) or 0, "lamb": maybe(rng.choice((0.0, 1e-3))), "seed": maybe(0)}

        def trained(given: MultKAN) -> MultKAN:
            n_outputs = len(given.spec.outputs)
            target = torch.sin(x.sum(1, keepdim=True)).expand(-1, n_outputs)
            given = copy.deepcopy(given)
            given.fit((x, target), **options)
            return given

        return Edit(name, trained, f"fit({options})")
    options, is_exact = kinds[name]()
    told = {k: v for k, v in options.items() if k == "edge" or not isinstance(v, torch.Tensor | tuple)}
    text = f"{name}({', '.join(f'{k}={v!r}' for k, v in told.items())})"
    return Edit(name, lambda given: getattr(given, name)(**options), text, is_exact)


def most_memory() -> int:
    """The most kilobytes that this process has held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a - b).detach().abs().max() / b.detach().abs().max().clamp_min(1.0))


def check_formula(model: MultKAN, x: torch.Tensor) -> bool:
    """Whether a network of functions was held against its formula, which must equal it."""
    # Of sums of numbers of 1e15 that cancel only rounding is left, which a formula adds up in another order.
    largest = max((float(value.abs().max()) for value in model.state_dict().values() if value.numel()), default=0.0)
    if not model.is_formula or largest > LARGEST or not is_well_conditioned(model) or model.spec.n_edges > 25:
        return False
    formulas = model.symbolic_formula(check=False)
    formulas = formulas if isinstance(formulas, list) else [formulas]
    values = torch.as_tensor(reference_values(formulas, list(model.spec.inputs), x.numpy())).reshape(len(x), -1)
    assert difference(values, model(x)) < 1e-8
    return True


def run(seed: int, figures: Figures, folder: Path) -> None:
    """One sequence of edits; raises AssertionError with the whole story."""
    rng = random.Random(seed)
    kinds = rng.choice((("numeric", "symbolic", "both", "none"), ("symbolic", "symbolic", "none"), ("numeric", "none")))
    model = named(random_network(seed, kinds, rng.randint(1, 3)), rng)
    x = samples(model, seed=seed)
    if not is_well_conditioned(model):
        return
    story = [f"seed {seed}: width {model.width}, inputs {model.spec.inputs}"]
    for _ in range(rng.randint(3, 8)):
        edit = an_edit(model, rng, x, folder)
        story.append(edit.text)
        before, outputs, memory = (
            fingerprint(model),
            model(x).detach(),
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        )
        figures.calls[edit.name] += 1
        start, new = time.process_time(), None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                new = edit.call(model)
        except Kan2Error:
            figures.refused[edit.name] += 1
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            raise AssertionError("\n".join([*story, f"raw {error!r} at {where.filename}:{where.lineno}"])) from error
        took = time.process_time() - start
        figures.slowest = max(figures.slowest, (took, edit.text))
        try:
            assert took < (SEARCH if edit.name == "snap_constants" else SECONDS), f"took {took:.1f} s"
            assert most_memory() - memory < KILOBYTES
            assert is_same(before, model), "the given network is another one"
            if new is None:
                continue
            check_valid(new, x)
            if edit.is_exact and is_well_conditioned(model):
                moved = difference(new(x), outputs)
                assert moved < 1e-9, f"outputs moved by {moved:.2g}"
            figures.formulas += check_formula(new, x)
        except (AssertionError, Kan2Error) as error:
            raise AssertionError("\n".join([*story, repr(error)])) from error
        model = new


@pytest.mark.parametrize("block", range(5))
def test_sequences_of_edits_end_in_networks_or_typed_errors(block, tmp_path):
    figures, troubles = Figures(), []
    for seed in range(100 * block, 100 * (block + 1)):
        try:
            run(seed, figures, tmp_path)
        except AssertionError as trouble:
            troubles.append(str(trouble))
    print(f"\n{figures}")  # noqa: T201
    assert not troubles, f"{len(troubles)} of 100 sequences:\n" + "\n\n".join(troubles)
