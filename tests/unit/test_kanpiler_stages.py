"""The stages one by one: plan, schedule, explanation, drawing, report, optimisation, splines, command line."""

import gc
import time
import weakref

import networkx
import pytest
import sympy
import torch

import kanpiler
from kan2 import MultKAN
from kanpiler.__main__ import main
from kanpiler.limits import time_limit
from kanpiler.normalize import carry_out, normalize
from kanpiler.plan import build_plan
from kanpiler.schedule import schedule

x, y, z = sympy.symbols("x y z", real=True)
NAMES = ("x", "y", "z")


def test_affine_relatives_share_a_node():
    plan = build_plan([sympy.sin(x + y) * sympy.cos(2 * x + 2 * y + 1) + sympy.exp(-3 * x - 3 * y)], NAMES)
    assert [node.kind for node in plan.nodes] == ["input"] * 3 + ["sum", "product", "sum"]


def test_equal_subexpressions_share_a_node():
    plan = build_plan([sympy.sin(x * y), sympy.cos(x * y) + z], NAMES)
    assert sum(node.kind == "product" for node in plan.nodes) == 1


def test_parallel_terms_share_an_edge():
    result = schedule(build_plan([x + x**2 + sympy.sin(x)], NAMES))
    assert (result.n_edges, result.n_nodes, result.plan.n_edges) == (1, 1, 3)


def test_nodes_move_to_where_they_cost_least():
    # sin(x y) is needed last: computing x y early carries one value, computing it late would carry two.
    deep = sympy.sin(sympy.exp(sympy.sin(z + x) + y)) + x * y
    result = schedule(build_plan([deep], NAMES))
    assert result.n_passes == 3


def test_normal_form_is_real():
    u = sympy.Symbol("u")
    assert normalize(sympy.sqrt(u**2), ["u"], {}) == sympy.Abs(sympy.Symbol("u", real=True))
    euler = sympy.exp(sympy.I * u) + sympy.exp(-sympy.I * u)
    assert normalize(euler, ["u"], {}) == 2 * sympy.cos(sympy.Symbol("u", real=True))


def test_carries_out():
    u, k = sympy.symbols("u k")
    assert carry_out(sympy.Derivative(u**3, u)) == 3 * u**2
    assert carry_out(sympy.Integral(k**2, (k, 0, u))) == u**3 / 3
    assert carry_out(sympy.Product(u + k, (k, 1, 2))) == (u + 1) * (u + 2)
    with pytest.raises(kanpiler.UnsupportedExpression, match="more than"):
        carry_out(sympy.Sum(u**k, (k, 1, 10**9)))
    with pytest.raises(kanpiler.UnsupportedExpression, match=r"whole numbers|closed form"):
        carry_out(sympy.Sum(sympy.sin(u**k), (k, 1, sympy.Symbol("n"))))


def test_time_limit():
    def forever():
        while True:
            len([])

    with pytest.raises(TimeoutError, match="longer than"), time_limit(0.05):
        forever()


def idle(*_):
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        len([])


class Finalised:
    def __del__(self):
        idle()


def release():
    value = {1}
    reference = weakref.ref(value, idle)
    del value
    return reference


def close():
    def generate():
        try:
            yield 1
        finally:
            idle()

    next(generate())


@pytest.fixture
def slow_collector():
    gc.callbacks.append(idle)
    yield
    gc.callbacks.remove(idle)


@pytest.mark.usefixtures("slow_collector")
@pytest.mark.parametrize("lose", [Finalised, release, close, gc.collect])
def test_time_is_up_where_an_exception_would_be_lost(lose):
    def work():
        lose()
        len([])

    with pytest.raises(TimeoutError), time_limit(0.05):
        work()


def test_explanation_shows_every_stage():
    explanation = kanpiler.explain("x*sin(y) + 2", domain={"x": (0, 1)})
    text = str(explanation)
    for part in ("Parsed", "Normal form", "f = x*sin(y) + 2", "n1 = x*sin(y)", "layer 1: n1", "1 nodes, 2 edges"):
        assert part in text
    graph = explanation.graph
    assert isinstance(graph, networkx.MultiDiGraph)
    assert networkx.is_directed_acyclic_graph(graph)
    assert [graph.nodes[n]["layer"] for n in graph] == [0, 0, 1]
    assert sorted(f for _, _, f in graph.edges(data="function")) == ["sin", "x"]


def test_explanation_names_trouble():
    assert "real and finite only for x - 1 > 0" in str(kanpiler.explain("log(x - 1)", domain={"x": (0, 3)}))


@pytest.mark.parametrize("source", ["x", "3", "x*sin(y) + log(x/z)", ["x y", "x + y"], "max(x, y, z)*mod(x, 2)"])
def test_explanation_draws(source, tmp_path):
    figure = kanpiler.explain(source).plot()
    figure.savefig(tmp_path / "stages.svg")
    assert (tmp_path / "stages.svg").stat().st_size > 2000


def test_report_of_formula_and_network():
    report = kanpiler.report("x*y + z")
    assert (report.n_nodes, report.n_products, report.n_edges, report.n_passes, report.depth) == (3, 1, 5, 1, 2)
    assert kanpiler.report(kanpiler.compile("x*y + z")) == report
    assert kanpiler.report(MultKAN([2, [2, 1], 1])).n_edges == 11


def test_report_agrees_with_the_schedule():
    for text in ("sin(x*y) + x", "exp(sin(pi*x) + y^2)", "max(x, y, z)", "x/sqrt(1 - y^2/z^2)"):
        stages = kanpiler.explain(text).stages.schedule
        report = kanpiler.report(text)
        assert (report.n_nodes, report.n_edges, report.depth) == (stages.n_nodes, stages.n_edges, stages.depth)
        assert (report.n_passes, report.width) == (stages.n_passes, stages.width)


@pytest.mark.parametrize(
    ("text", "goal", "edges"),
    [("x*y + x", "edges", 2), ("x*y + x", None, 5), ("x*y + x*z + x*w", "depth", 4), ("x^2 + 2x y + y^2", "edges", 3)],
)
def test_optimize(text, goal, edges):
    net = kanpiler.compile(text, optimize=goal)
    assert kanpiler.report(net).n_edges == edges


def test_optimize_is_checked():
    with pytest.raises(kanpiler.CompileError, match="depth, width, edges"):
        kanpiler.compile("x", optimize="speed")


def test_splines_follow_the_formula(generator):
    domain = {"x": (0.3, 1.7), "y": (-1, 1)}
    splines = kanpiler.compile("exp(sin(pi*x) + y^2)", domain=domain, edges="spline")
    assert all(not layer.spec.terms for layer in splines.layers)
    points = torch.rand(500, 2, generator=generator, dtype=torch.float64) * torch.tensor([1.4, 2]) + torch.tensor(
        [0.3, -1]
    )
    exact = kanpiler.compile("exp(sin(pi*x) + y^2)")(points)
    error = (splines(points) - exact).square().mean().sqrt() / exact.std()
    assert error < 2e-6


@pytest.mark.parametrize(
    ("formula", "domain"),
    [
        ("sqrt((a - b)^2 + (c - d)^2)", dict.fromkeys("abcd", (1.0, 5.0))),
        ("asin(a*sin(b))", {"a": (0.0, 1.0), "b": (1.0, 5.0)}),
        ("log((a - b)^2 + 0.1)", dict.fromkeys("ab", (0.0, 3.0))),
    ],
)
def test_splines_of_functions_that_end_where_their_range_ends(formula, domain, generator):
    splines = kanpiler.compile(formula, list(domain), domain, edges="spline", grid=10)
    low, high = torch.tensor(list(domain.values()), dtype=torch.float64).T
    points = low + (high - low) * torch.rand(500, len(domain), generator=generator, dtype=torch.float64)
    exact = kanpiler.compile(formula, list(domain), domain)(points)
    error = (splines(points) - exact).square().mean().sqrt() / exact.std()
    assert error < 0.1


def test_splines_take_a_grid():
    net = kanpiler.compile("sin(x)*y", domain={"x": (0, 1), "y": (0, 1)}, edges="spline", grid=7)
    assert {layer.spec.basis.grid for layer in net.layers} == {7}


@pytest.mark.parametrize(
    ("options", "part"),
    [({"edges": "spline"}, "domain of every input"), ({"edges": "quadratic"}, "symbolic")],
)
def test_spline_refusals(options, part):
    with pytest.raises(kanpiler.CompileError, match=part):
        kanpiler.compile("sin(x)", **options)


def test_half_a_theory_is_completed_by_training(generator):
    """Compile what is known, free the rest, train, read the correction."""
    points = torch.rand(400, 2, generator=generator, dtype=torch.float64) * 2 - 1
    truth = points[:, :1] * torch.sin(points[:, 1:]) + 0.2 * points[:, :1] ** 2
    known = kanpiler.compile("x*sin(y)", trainable=False)
    free = known.expand_depth().perturb()
    torch.testing.assert_close(free(points), known(points))
    wider = known.expand_depth(0).expand_width(1, 1)
    torch.testing.assert_close(wider(points), known(points))
    assert (known(points) - truth).abs().max() > 0.1


def test_command_line(capsys, tmp_path):
    assert main(["x*sin(y)", "--plot", str(tmp_path / "plan.svg"), "--domain", "x:0:1"]) == 0
    assert "n1 = x*sin(y)" in capsys.readouterr().out
    assert (tmp_path / "plan.svg").exists()
    assert main(["sinn(x)"]) == 2
    assert "Did you mean sin" in capsys.readouterr().err
    assert main(["x", "--domain", "x:0"]) == 2
    assert main(["x", "y + x", "--inputs", "y,x", "--optimize", "edges", "--save", str(tmp_path / "net.kan")]) == 0
    assert MultKAN.load(tmp_path / "net.kan").spec.inputs == ("y", "x")


def test_default_names_of_outputs_are_not_names_of_inputs():
    assert kanpiler.compile("x^2").spec.outputs == ("y",)
    assert kanpiler.compile("x*y").spec.outputs == ("f",)
    assert kanpiler.compile(["x", "y1"]).spec.outputs == ("f1", "f2")
