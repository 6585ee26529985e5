"""Theories as networks: predictions, derivatives by torch, pictures, files, copies, and the plain network beneath."""

import copy
import pickle
from functools import cache

import numpy as np
import pytest
import sympy
import torch

import kan2
import kanpiler
from kan2.core.spec import NetworkSpec
from kan2.errors import TrainingError
from kanpiler import Parameter, Theory, Unknown

rng = np.random.default_rng(2)
N, NOISE = 60, 0.002
X, Z = rng.uniform(0.1, 2, N), rng.uniform(-1, 2, N)
E = NOISE * rng.normal(size=N)
x, z, k = sympy.symbols("x z k")
ROWS = {"x": X, "z": Z}


@cache
def wave():
    net = kanpiler.compile("k*z + f(x)", parameters=["k"], unknown=["f"])
    net.fit({**ROWS, "y": 0.7 * Z + np.sin(2 * X) + E})
    return net


@cache
def power():
    net = kanpiler.compile("a*x^n + b*z + c", parameters=["a", "n", "b", "c"])
    net.fit({**ROWS, "y": 2 * X**2 + E})
    return net


def output(net, columns=ROWS):
    return net(columns).detach().numpy()[:, 0]


@pytest.mark.parametrize("made", [wave, power])
def test_the_network_alone_computes_the_same(made):
    net = made()
    plain = net.network()
    assert type(plain) is kan2.MultKAN
    assert plain.spec.theory is None
    assert output(plain) == pytest.approx(output(net), abs=1e-12)
    assert [one for one, _ in plain.spec.auxiliary] == [one.name for one in net.theory.parameters]
    assert output(plain.expand_width(1, 1)) == pytest.approx(output(net), abs=1e-9)


@pytest.mark.parametrize("n", [2, 25])
def test_the_network_alone_has_values_for_each_label(n):
    label = np.arange(N) % n
    net = kanpiler.compile("V*x + c", parameters={"V": Parameter(per="label"), "c": 0.0})
    net.fit({"x": X, "label": label, "y": (1 + label % 7) * X + E})
    levels = net.theory.parameters[0].levels
    codes = np.array([levels.index(str(one)) for one in label], float)
    expected = output(net, {"x": X, "label": label})
    assert expected == pytest.approx((1 + label % 7) * X, abs=5 * NOISE)
    assert output(net.network(), {"x": X, "label": codes}) == pytest.approx(expected, abs=1e-9)


def test_derivatives_by_parameters_and_inputs_are_those_of_torch():
    net = wave()
    rows = torch.from_numpy(np.c_[X, Z]).requires_grad_(True)
    total = net(rows).sum()
    by_rows, by_k = torch.autograd.grad(total, [rows, *net.constants])
    step = 1e-6

    def moved(change, rows=rows):
        other = copy.deepcopy(net)
        with torch.no_grad():
            other.constants[0].add_(change)
            return other(rows.detach())

    assert float(by_k) == pytest.approx(float((moved(step) - moved(-step)).sum()) / (2 * step), rel=1e-6)
    for column in range(2):
        shift = torch.zeros(2, dtype=torch.float64)
        shift[column] = step
        slope = (moved(0.0, rows + shift) - moved(0.0, rows - shift))[:, 0] / (2 * step)
        assert by_rows[:, column].numpy() == pytest.approx(slope.numpy(), abs=1e-5)


def test_fixed_parameters_are_not_trained():
    net = kanpiler.compile("a*x + b*z", parameters={"a": Parameter(2, fixed=True), "b": 1.0})
    assert [one.requires_grad for one in net.constants] == [False, True]
    net.fit({**ROWS, "y": 2 * X + Z + E})
    assert [one.requires_grad for one in net.constants] == [False, True]
    assert net.values["a"] == 2


def test_a_theory_is_drawn():
    figure = wave().plot()
    assert hasattr(figure, "savefig")
    assert figure.axes


def test_a_theory_is_written_with_its_functions():
    assert kanpiler.decompile(wave()) == k * z + sympy.Function("f")(x)
    assert str(kanpiler.decompile(power())) == "a*x**n + b*z + c"
    assert power().symbolic_formula() == kanpiler.decompile(power())
    assert wave().text == "k*z + f(x)"
    assert [str(one) for one in power().written()] == ["a*x**n + b*z + c"]


# -- files and copies --------------------------------------------------------------------------------------------------


def rich():
    net = kanpiler.compile(
        {"u": "V*f(x) + c", "v": "g(`the place`)*c"},
        parameters={"V": Parameter(1, low=0, per="label"), "c": Parameter(1, prior=(1, 0.5), unit="m")},
        unknown={"f": "increasing, zero at 0, between -9 and 9", "g": Unknown(shape=("even",), period=2 * np.pi)},
    )
    label = np.array(["one", "the other"])[np.arange(N) % 2]
    table = {"x": X, "the place": Z, "label": label, "u": np.where(label == "one", 2, 3) * X + 1, "v": np.cos(Z)}
    net.fit(table)
    return net, table


def test_theories_are_copied_saved_and_loaded(tmp_path):
    net, table = rich()
    net.save(tmp_path / "net.kan")
    copies = {
        "deepcopy": copy.deepcopy(net),
        "pickle": pickle.loads(pickle.dumps(net)),
        "load": Theory.load(tmp_path / "net.kan"),
        "kan2.load": kan2.load(tmp_path / "net.kan"),
    }
    for name, one in copies.items():
        assert isinstance(one, Theory), name
        assert one.spec == net.spec, name
        assert one.values == net.values, name
        assert torch.equal(one(table), net(table)), name
        assert one.text == net.text, name
        assert one.written() == net.written(), name
        assert one.form == net.form, name
        assert one.function("f")(X) == pytest.approx(net.function("f")(X), abs=1e-12), name
        with pytest.raises(TrainingError, match="Call fit"):
            one.estimates()
    assert copies["load"].fit(table).rmse == pytest.approx(net.report.rmse, abs=1e-4)
    assert net.estimates()[0].level == "one"


def test_specs_go_through_json():
    net, _ = rich()
    text = net.spec.to_json()
    again = NetworkSpec.from_json(text)
    assert again == net.spec
    assert again.theory.parameters[0].levels == ("one", "the other")
    assert again.theory.functions[1].period == pytest.approx(2 * np.pi)
    assert again.to_json() == text


def test_a_copy_is_fitted_again_and_the_original_is_not():
    before = output(wave())
    again = copy.deepcopy(wave())
    again.fit({**ROWS, "y": 5 * Z + np.cos(X) + E})
    assert again.values["k"] == pytest.approx(5, abs=0.02)
    assert np.array_equal(output(wave()), before)


def test_other_networks_are_no_theories(tmp_path):
    kanpiler.compile("x*sin(y)").save(tmp_path / "net.kan")
    net = Theory.load(tmp_path / "net.kan")
    with pytest.raises(kanpiler.CompileError, match="a network that was compiled from a theory, got another one"):
        net.fit({"x": X, "y": X})


def test_edges_of_unknown_functions_have_their_names_and_none_is_faint():
    net = wave()
    assert "f" in [text.get_text() for text in net.plot().axes[0].texts]
    colours = [tuple(c) for found in net.plot().axes[0].collections for c in found.get_edgecolors()]
    assert min(c[3] for c in colours) == 1.0
