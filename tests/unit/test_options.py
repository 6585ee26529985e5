"""Values of options: every public function refuses what is of the wrong type or range, at once and by a typed error.

The walk takes each public signature, and each of its parameters that is annotated as a number, a flag, a text, a list
or a type, and hands in every value that the annotation does not allow. None may be accepted, none may end in an error
of somebody else, none may train first, and no network may be another one afterwards.
"""

import inspect
import re
import time
import traceback
import warnings
from importlib import import_module
from math import nan

import numpy as np
import pytest
import torch

import kan2
import kan2.datasets
import kan2.errors
import kan2.estimators
import kan2.functions
import kan2.plotting
import kan2.tables
import kanpiler
import treeconv
from kan2 import MultKAN, options
from kan2.errors import (
    DataError,
    EdgeError,
    Kan2Error,
    OptionError,
    ShapeError,
    SpecError,
    TrainingError,
    UnknownNameError,
)
from kan2.multkan import _VERBS
from tests.calls import CALLS, SPEC, VERBS, Fitted, both, fitted, formula, parameters_of, points, prepared
from tests.options import NO_OPTIONS, OUT_OF_RANGE, RIGHT, wrong_values
from tests.training import HELLO, same, state

pytestmark = pytest.mark.usefixtures("unchecked")

LONGEST = 0.5  # seconds of processor time


def _is_typed(error: BaseException) -> bool:
    return isinstance(error, Kan2Error | treeconv.TreeError)


@pytest.mark.parametrize("name", list(CALLS))
def test_wrong_values_are_refused_at_once_by_a_typed_error(name):
    if "plot" in name:
        kan2.plotting.plot(formula())  # imports matplotlib
    function, given = prepared(name)
    models = [fitted(), formula()]
    before = [state(model) for model in models]
    troubles = []
    for parameter, description in parameters_of(name).items():
        wrong = [*wrong_values(description.annotation, parameter), *OUT_OF_RANGE.get(name, {}).get(parameter, ())]
        right = RIGHT.get(name, {}).get(parameter, ())
        for value in wrong:
            if any(type(value) is type(r) and value == r for r in right):
                continue
            start, call = time.process_time(), f"{name}({parameter}={value!r})"
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    function(**{**given, parameter: value})
            except Exception as error:
                if not _is_typed(error):
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    troubles.append(
                        f"{call}: raw {type(error).__name__}: {str(error)[:90]} [{where.filename}:{where.lineno}]"
                    )
                elif not re.search(r": (expected|unknown|undeclared|domain names|no such)", str(error)):
                    troubles.append(f"{call}: says {error}")
            else:
                troubles.append(f"{call}: accepted")
            if time.process_time() - start > LONGEST:
                troubles.append(f"{call}: took {time.process_time() - start:.1f} s")
    assert not troubles, "\n" + "\n".join(troubles)
    assert all(same(old, state(model)) for old, model in zip(before, models))


def test_every_public_function_is_walked():
    walked = set(CALLS)
    missing = [name for name in kan2.__all__ if name not in walked | NO_OPTIONS["kan2"]]
    missing += [verb for verb in _VERBS if f"MultKAN.{verb}" not in walked and verb not in NO_OPTIONS["verbs"]]
    for package, prefix in ((kan2.functions, "functions"), (kan2.plotting, "plotting"), (treeconv, "treeconv"),
                            (kanpiler, "kanpiler")):  # fmt: skip
        for name in dir(package):
            value = getattr(package, name)
            is_ours = getattr(value, "__module__", "").startswith(("kan2", "treeconv", "kanpiler"))
            is_known = f"{prefix}.{name}" in walked or f"MultKAN.{name}" in walked or name in walked
            records = (Exception, kanpiler.Report, kanpiler.Explanation, kanpiler.Theory)
            is_record = isinstance(value, type) and issubclass(value, records)
            is_known |= name in NO_OPTIONS.get(prefix, ()) or name.startswith("_") or is_record
            if is_ours and callable(value) and not is_known:
                missing.append(f"{prefix}.{name}")
    assert not missing


def test_numbers_of_numpy_are_numbers():
    two, five, small = np.int64(2), np.int32(5), np.float32(0.5)
    model = MultKAN(
        np.array([2, 2, 1]), grid=five, k=np.int8(3), noise_scale=small, seed=two, grid_range=np.array([0, 1])
    )
    history = model.fit(HELLO, steps=two, lamb=np.float64(1e-6), grids=np.array([3, 5]), seed=two, restarts=two)
    assert [row for row in history["grid"] if row == 5]
    assert model.refine(np.int64(10)).spec.layers[0].basis.grid == 10
    assert model.swap(np.int64(1), np.int64(0), np.int64(1)).width == model.width
    assert model.remove_edge((np.int64(0), np.int64(0), np.int64(1))).spec.n_edges == 5
    assert model.expand_width(np.int64(1), two, np.True_).width == [[2, 0], [4, 0], [1, 0]]
    assert model.prune(node_th=small, edge_th=np.float64(0)).width[0] == [2, 0]
    assert len(model.get_fun((0, 0, 0), n=five)[0]) == 5
    assert kan2.NetworkSpec.from_json(model.spec.to_json()) == model.spec
    assert len(kan2.sample_function("x", {"x": (np.int64(0), np.float32(1))}, n=five)) == 5


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: Fitted("KANRegressor")(hidden=5), SpecError, r"Pass hidden=\(5,\)"),
        (lambda: MultKAN([2, 1], seed="a"), SpecError, "seed as a whole number from 0 to 2.63 - 1, got 'a'"),
        (lambda: MultKAN([2, 1], dtype=int), SpecError, "dtype as torch.float64 or torch.float32, got <class 'int'>"),
        (lambda: MultKAN([2, 1], inputs="xy"), SpecError, r"inputs as a list of names, got 'xy'. Pass inputs="),
        (lambda: MultKAN([2, 1], device="nowhere"), SpecError, "a device that torch can use here, got 'nowhere'"),
        (lambda: fitted().fit(callbacks=print), TrainingError, r"Pass callbacks=\[function\]"),
        (lambda: fitted().fit(seed="a"), TrainingError, "fit: expected seed as a whole number"),
        (lambda: fitted().fix_symbolic((0, 0), "sin"), EdgeError, r"an edge \(layer, target, source\) of three"),
        (lambda: fitted().remove_edge((0.0, 0, 0)), EdgeError, r"whole numbers, got \(0.0, 0, 0\)"),
        (lambda: fitted().auto_symbolic(library="sin"), DataError, "library as a list of names of functions, got"),
        (lambda: fitted().auto_symbolic(library=["sni"]), UnknownNameError, "unknown function 'sni'. Did you mean"),
        (lambda: fitted().plot(scale=-1), DataError, "plot: expected scale as a finite number > 0, got -1"),
        (lambda: fitted().plot(in_vars=["a"]), ShapeError, "plot: expected 2 in_vars, got 1: a"),
        (lambda: fitted().prune(node_th=nan), EdgeError, "node_th as a finite number >= 0, got nan"),
        (lambda: kan2.fit("model.pt", HELLO), TrainingError, "a network, such as a MultKAN, got 'model.pt'"),
        (lambda: treeconv.convert(both, points(), "ab"), treeconv.SampleError, "expected 2 different names, got 'ab'"),
    ],
)  # fmt: skip
def test_refusals_say_what_to_do(call, error, text):
    with pytest.raises(error, match=text):
        call()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(SpecError, match="Pass device='cpu', or leave it out"):
        MultKAN([2, 1], device="cuda")


@pytest.mark.parametrize("weight", [[1.0] * 299, [-1.0] * 300, [nan] * 300, "a", [[1.0]] * 300])
def test_sample_weights_are_refused_before_a_step(weight):
    model = MultKAN([2, 1])
    with pytest.raises(
        (ShapeError, DataError), match=r"300 non-negative sample weights|sample_weight: expected numbers"
    ):
        model.fit(HELLO, sample_weight=weight, callbacks=[lambda *_: pytest.fail("trained")])


@pytest.mark.parametrize("verb", ["snap_constants", "auto_prune", "auto_symbolic", "relevance"])
def test_targets_of_another_number_of_outputs_are_refused(verb):
    model = kanpiler.compile(["x", "y**2"], inputs=["x", "y"])
    with pytest.raises(ShapeError, match=f"{verb}: expected targets with 2 columns, got 1"):
        getattr(model, verb)((HELLO.X, HELLO.y))


def test_an_empty_dict_is_no_data():
    with pytest.raises(DataError, match="dict"):
        fitted().auto_swap({})


@pytest.mark.parametrize("name", sorted(set(_VERBS) - {"load", "_tree_of_data", "from_tree"}))
@pytest.mark.parametrize("model", ["x", MultKAN, None], ids=["text", "class", "none"])
def test_what_is_no_network_is_refused_by_every_verb(name, model):
    module, _, place = _VERBS[name].partition(":")
    module, inner = (module, place) if place else module.rsplit(".", 1)
    function = getattr(import_module(module), inner)
    given = {key: value for key, value in VERBS.get(name, {}).items() if key != "data"}
    shown = {"save": {"path": "never.kan"}}.get(name, {})
    with pytest.raises(Kan2Error, match=r"\w: expected a (network|MultKAN)"):
        function(model, **{"data": HELLO} if "data" in inspect.signature(function).parameters else {}, **given, **shown)


@pytest.mark.parametrize("call", [kan2.jet, kan2.laplacian, kan2.uncertainties])
def test_functions_of_a_network_refuse_what_is_none(call):
    with pytest.raises(Kan2Error, match=f"{call.__name__}: expected a network, such as a MultKAN, got 'x'"):
        call("x", HELLO.X)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: kan2.chunked("x", HELLO.X), DataError, "chunked: expected a module, such as a MultKAN, got 'x'"),
        (lambda: kan2.chunked(fitted(), "x"), ShapeError, "chunked: expected x as a tensor of rows, got str"),
        (lambda: kan2.directional("x", HELLO.X, HELLO.X), SpecError, "directional: expected a network"),
        (lambda: kan2.directional(fitted(), HELLO.X, {"a": 1}), ShapeError, "got dict. Pass a list or an array"),
        (lambda: fitted().jet(HELLO.X, ordr=1), OptionError, "jet: unknown option 'ordr'. Did you mean 'order'"),
        (lambda: fitted().laplacian(HELLO.X, order=1), OptionError, "laplacian: unknown option 'order'. Known: x."),
        (lambda: fitted().reset_parameters(sed=1), OptionError, "Did you mean 'seed'"),
        (lambda: MultKAN.from_spec(SPEC, dtyp=1), OptionError, "from_spec: unknown option 'dtyp'"),
        (lambda: MultKAN.from_values(SPEC, [], dtyp=1), OptionError, "from_values: unknown option 'dtyp'"),
        (lambda: MultKAN.from_layers(SPEC, layer=1), OptionError, "from_layers: unknown option 'layer'. Did you mean"),
    ],
)
def test_what_else_is_no_network_or_option(call, error, text):
    with pytest.raises(error, match=text):
        call()


HUGE = 10**30


@pytest.mark.parametrize(
    "call",
    [
        *(lambda name=name: kan2.KANLayer(**{"in_features": 2, "out_features": 1, name: HUGE})
          for name in ("in_features", "out_features")),
        *(lambda name=name: kan2.KANConv2d(**{"in_channels": 2, "out_channels": 2, "kernel_size": 2, name: HUGE})
          for name in ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation")),
        lambda: kan2.KANLayer(2, 1, arities=(HUGE,)),
        lambda: kan2.LayerSpec(HUGE, 1),
        lambda: kan2.KANLayer(10**6, 10**6),
        lambda: kan2.sample_function("x", {"x": (0, 1)}, n=HUGE),
        lambda: kan2.sample_function("x", {"x": (0, 1)}, n_test=HUGE),
        lambda: kan2.discover(HELLO, mult_arity=HUGE),
        lambda: MultKAN([HUGE, 1]),
        lambda: MultKAN([2, HUGE, 1]),
        lambda: MultKAN([2, [1, HUGE], 1]),
        lambda: MultKAN([2, [1, 1], 1], mult_arity=HUGE),
        lambda: fitted().expand_width(1, n_nodes=HUGE),
        lambda: fitted().get_fun((0, 0, 0), n=HUGE),
        lambda: fitted().relevance(draws=HUGE),
    ],
)  # fmt: skip
def test_sizes_that_are_slips_are_refused_with_one_sentence(call):
    with pytest.raises(Kan2Error, match=r"expected .* as a whole number from \d to 1,000,000.*Larger ones are taken"):
        call()


@pytest.mark.parametrize("value", [10**400, -(10**400), 10**5000], ids=["400", "minus", "5000"])
def test_numbers_beyond_every_float_are_refused_and_shown_short(value):
    for check in (options.number, options.whole, options.seed, options.size):
        name = () if check is options.seed else ("n",)
        if check is not options.whole or value < 0:
            with pytest.raises(DataError, match=r"got -?1e\+\d+\."):
                check("f", *name, value)
    assert options.whole("f", "n", 10**30) == 10**30  # steps may be as many as one likes


@pytest.mark.parametrize("strength", ["smoothing", "roughness", "lamb"])
def test_strengths_beyond_every_float_are_refused(strength):
    with pytest.raises(TrainingError, match=f"fit: expected {strength} as a finite number"):
        fitted().fit(HELLO, **{strength: 10**400})


def test_arities_may_be_a_tensor():
    generator = torch.Generator().manual_seed(0)
    assert kan2.KANLayer(2, 1, arities=torch.tensor([2, 3]), generator=generator).spec.arities == (2, 3)
    with pytest.raises(SpecError, match="arities as whole numbers"):
        kan2.KANLayer(2, 1, arities=torch.ones(2, 2))
    with pytest.raises(SpecError, match="arities as a list of numbers of factors, got 3"):
        kan2.KANLayer(2, 1, arities=torch.tensor(3))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b", "a"}, r"a set. Pass a list, such as names=\['a', 'b'\]"),
        (frozenset({"b", "a"}), r"a frozenset. Pass a list, such as names=\['a', 'b'\]"),
        ({"b": 1, "a": 2}.keys(), r"a dict_keys. Pass a list, such as names=\['b', 'a'\]"),
        ({1: "b", 2: "a"}.values(), r"got dict_values\(\['b', 'a'\]\). Pass names="),
        ({"b": 1, "a": 2}.items(), "a dict_items. Pass a list"),
        (set(), "a set. Pass a list"),
    ],
)
def test_names_have_an_order(value, text):
    with pytest.raises(DataError, match=f"f: expected names as a list of names.*{text}"):
        options.names("f", "names", value)


def test_what_has_an_order_is_no_set():
    with pytest.raises(SpecError, match="MultKAN: expected inputs as a list of names, whose order decides"):
        MultKAN([2, 1], inputs={"x", "y"})
    with pytest.raises(DataError, match="augment: expected names as a list of names, whose order decides"):
        kan2.augment(HELLO, {"r": "x*y"}, names={"x", "y"})
    with pytest.raises(DataError, match=r"ranges as a list of pairs .*, whose order decides"):
        kan2.sample_function(both, {(0, 1), (2, 3)})
    with pytest.raises(SpecError, match="arities as a list of numbers of factors, whose order decides"):
        kan2.KANLayer(2, 1, arities={2, 3})
