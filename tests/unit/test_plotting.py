"""Pictures: what is drawn, quietly, quickly, and without overlap from the smallest to the largest network."""

import io
import sys
import time

import numpy as np
import pytest
import torch
from strategies import random_network, samples

from kan2 import LayerSpec, MultKAN, NetworkSpec, SymbolicTerm, plotting, sample_function
from kan2.errors import EdgeError, ShapeError
from kan2.plotting._layout import lay_out
from kan2.training.history import History

NETWORKS = {
    "[1,1]": MultKAN([1, 1]),
    "[2,1,1]": MultKAN([2, 1, 1]),
    "[4,9,1]": MultKAN([4, 9, 1]),
    "[17,1,14]": MultKAN([17, 1, 14], inputs=[f"longitudinal_{i}" for i in range(17)]),
    "[9,[5,5],1]": MultKAN([9, [5, 5], 1]),
    "[2,[2,2],[1,1],2]": MultKAN([2, [2, 2], [1, 1], 2], mult_arity=3),
}


def inputs(model: MultKAN) -> torch.Tensor:
    return samples(model, 100)


def texts(figure) -> list:
    return [text for text in figure.axes[0].texts if text.get_text()]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("form", ["svg", "png"])
def test_every_size_is_drawn_with_all_labels_inside_and_apart(name, form):
    model = NETWORKS[name]
    figure = model.plot(inputs(model), title="a title")
    figure.savefig(io.BytesIO(), format=form)
    shown = texts(figure)
    assert {text.get_text() for text in shown} >= {*model.spec.inputs, *model.spec.outputs, "a title"}
    boxes = [text.get_window_extent() for text in shown]
    for i, box in enumerate(boxes):
        assert box.x0 >= 0
        assert box.y0 >= 0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :]), shown[i].get_text()


@pytest.mark.parametrize("name", NETWORKS)
def test_icons_are_one_an_edge_and_do_not_overlap(name):
    model = NETWORKS[name]
    layout = lay_out(model.spec)
    for layer, spec in zip(layout.layers, model.spec.layers):
        assert sorted(layer.pairs) == list(spec.active_pairs)
        gaps = np.abs(layer.icons[:, None] - layer.icons[None]).max(-1)
        np.fill_diagonal(gaps, np.inf)
        assert gaps.min() >= layout.icon


def test_symbolic_edges_are_told_apart_by_label_and_frame_not_colour_alone():
    layer = LayerSpec(3, 1, numeric=((0, 0), (0, 1)), terms=(SymbolicTerm(0, 1, "sin"), SymbolicTerm(0, 2, "x^2")))
    figure = MultKAN.from_spec(NetworkSpec((layer,))).plot()
    assert {"sin", "x^2"} <= {text.get_text() for text in texts(figure)}
    boxes = next(c for c in figure.axes[0].collections if type(c).__name__ == "PolyCollection")
    spline, both, symbolic = boxes.get_linewidths()
    assert spline < both == symbolic
    dashes = [dash for _, dash in boxes.get_linestyles()]
    assert dashes[0] is None
    assert dashes[1] is not None
    assert dashes[2] is None


def test_opacity_follows_the_score():
    hidden = LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "x"), SymbolicTerm(0, 1, "0")))
    model = MultKAN.from_spec(NetworkSpec((hidden,)))
    figure = model.plot(torch.rand(50, 2, generator=torch.Generator().manual_seed(0)))
    boxes = next(c for c in figure.axes[0].collections if type(c).__name__ == "PolyCollection")
    strong, weak = boxes.get_edgecolors()[:, 3]
    assert strong > 0.9
    assert 0 < weak < 0.1


def test_few_artists_and_half_a_second():
    model = NETWORKS["[4,9,1]"]
    x = samples(model, 1000)
    model.plot(x)
    best = np.inf
    for _ in range(3):
        start = time.perf_counter()
        figure = model.plot(x)
        best = min(best, time.perf_counter() - start)
    assert best < 0.5
    assert len(figure.axes) == 1
    assert len(figure.axes[0].collections) < 20


@pytest.mark.parametrize("seed", range(5))
def test_random_networks_with_ticks(seed):
    model = random_network(seed)
    model.plot(inputs(model), ticks=True).savefig(io.BytesIO())
    model.plot(ticks=True).savefig(io.BytesIO())


def test_functions_that_leave_their_domain_are_drawn_where_they_are_defined():
    layer = LayerSpec(2, 1, numeric=(), terms=(SymbolicTerm(0, 0, "log"), SymbolicTerm(0, 1, "1/x")))
    model = MultKAN.from_spec(NetworkSpec((layer,)))
    model.plot(ticks=True).savefig(io.BytesIO())
    x, y = model.get_fun((0, 0, 0))
    assert np.isnan(y[x <= 0]).all()
    np.testing.assert_allclose(y[x > 0], np.log(x[x > 0]))
    assert model.get_range((0, 0, 1))[:2] == pytest.approx((-1, 1), abs=0.02)


def test_labels_are_checked_and_used():
    model = MultKAN([2, 1])
    figure = model.plot(in_vars=["m", "v"], out_vars=["E"])
    assert {"m", "v", "E"} == {text.get_text() for text in texts(figure)}
    with pytest.raises(ShapeError, match="expected 2 in_vars, got 1"):
        model.plot(in_vars=["m"])


def test_charts():
    model = MultKAN([2, [2, 1], 1])
    x = inputs(model)
    assert len(model.plot_scores(x).axes) == 2
    figure = model.plot_edge((0, 1, 0), x)
    total, base, spline = (line.get_ydata() for line in figure.axes[0].lines[:3])
    np.testing.assert_allclose(total, base + spline)
    history = History()
    for step in range(5):
        history.append(step=step, rmse=10.0**-step, test_rmse=None if step else 1.0, grid=3 if step < 3 else 6)
    figure = plotting.plot_history(history)
    assert [text.get_text().strip() for text in figure.axes[0].texts] == ["G=6"]
    for drawn in (figure, model.plot_edge((1, 0, 0))):
        drawn.savefig(io.BytesIO(), format="svg")
    with pytest.raises(EdgeError, match="layer below 2"):
        model.plot_edge((5, 0, 0))


def test_no_pyplot_state_and_notebooks_show_the_figure():
    before = "matplotlib.pyplot" in sys.modules
    figure = MultKAN([2, 1]).plot()
    assert ("matplotlib.pyplot" in sys.modules) == before
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_film_is_written_only_when_it_is_saved(tmp_path):
    from PIL import Image

    from kan2.plotting import Film

    data = sample_function("x1*x2", [(-1, 1), (-1, 1)], n=100)
    film = Film(data, every=2)
    MultKAN([2, [0, 1]], grid=3).fit(data, steps=12, callbacks=[film])
    assert len(film.frames) >= 2
    assert not list(tmp_path.iterdir())
    film.save(tmp_path / "training.gif")
    with Image.open(tmp_path / "training.gif") as picture:
        assert picture.n_frames >= 2
    with pytest.raises(ValueError, match="callbacks"):
        Film(data).save(tmp_path / "empty.gif")


def test_the_pareto_chart_marks_the_recommended_row():
    from kan2.discovery.pareto import ParetoTable
    from kan2.plotting import plot_pareto

    table = ParetoTable(100)
    table.add(MultKAN([1, 1], grid=3), 1e-3)
    table.add(MultKAN([1, 1], grid=9), 0.0)
    axes = plot_pareto(table).axes[0]
    assert [line.get_label() for line in axes.lines] == ["tried", "front", "recommended"]
    assert axes.lines[2].get_xdata()[0] == table.recommended.complexity
