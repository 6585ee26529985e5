"""Pictures of trees: the matplotlib figure, and the Graphviz diagram, which needs no program `dot`."""

import logging
import subprocess
import sys
from pathlib import Path

import graphviz
import numpy as np
import pytest
import torch

import treeconv
from treeconv.diagram import Diagram


def samples(n):
    return np.random.default_rng(0).uniform(-1.5, 1.5, (300, n))


@pytest.fixture(scope="module")
def tree():
    def f(x):
        return torch.sin(x[:, 0] * x[:, 1]) + torch.cos(x[:, 2] + x[:, 3]) * x[:, 4]

    return treeconv.convert(f, torch.tensor(samples(6)), ["a", "b", "c", "d", "e", "idle"])


@pytest.fixture(autouse=True)
def _no_program(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(graphviz.ExecutableNotFound):
        graphviz.version()


def labels(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_the_figure_shows_every_input_and_sign(tree):
    shown = labels(treeconv.plot(tree))
    assert set("abcde") | {"idle", "+", "×", "F", "output", "no effect"} <= set(shown)
    assert any("sure" in text for text in labels(treeconv.plot(tree, evidence=True)))


def test_drawing_is_quiet(tree, capfd, caplog):
    with caplog.at_level(logging.DEBUG):
        treeconv.plot(tree).canvas.draw()
    assert capfd.readouterr().out == ""
    assert "Ignoring fixed" not in caplog.text


@pytest.mark.parametrize("evidence", [False, True])
def test_the_diagram_shows_itself_and_saves(tree, tmp_path, evidence):
    diagram = treeconv.to_graphviz(tree, evidence=evidence)
    svg = diagram._repr_mimebundle_()["image/svg+xml"]
    assert svg == diagram.svg()
    assert svg.lstrip().startswith("<?xml")
    assert "idle" in svg
    assert diagram.png().startswith(b"\x89PNG")
    for ending in ("svg", "png", "pdf", "dot", "gv"):
        path = tmp_path / "new" / f"tree.{ending}"
        assert diagram.save(path) == str(path)
        assert path.stat().st_size > 100
    for name in ("tree.gif", "tree"):
        with pytest.raises(treeconv.TreeError, match="expected a path ending"):
            diagram.save(tmp_path / name)


def test_a_diagram_is_a_digraph_of_graphviz(tree):
    diagram = treeconv.to_graphviz(tree)
    assert isinstance(diagram, graphviz.Digraph)
    assert isinstance(diagram, treeconv.Diagram)
    assert diagram.source == str(diagram)
    assert {"\ta -> 1\n", "\t0 -> output\n"} <= set(diagram)
    assert diagram.copy().svg() == diagram.svg()


def test_what_is_added_shows_in_the_picture(tree):
    diagram = treeconv.to_graphviz(tree)
    diagram.node("note", "what a user adds", shape="note")
    diagram.node("a", fontcolor="#ff0001")
    diagram.edge("note", "0", label="here")
    diagram.attr(label="a caption")
    diagram.graph_attr["bgcolor"] = "#fffff1"
    with diagram.subgraph(name="cluster_pair") as box:
        box.attr(label="a pair")
        box.node("bare")
    svg = diagram.svg()
    for text in ("what a user adds", "here", "a caption", "a pair", "bare"):
        assert f">{text}</text>" in svg
    for colour in ("#ff0001", "#fffff1"):
        assert colour in svg


@pytest.mark.slow
def test_nodes_without_a_label_show_their_names_in_the_first_picture_of_a_process():
    code = (
        "from treeconv.diagram import Diagram; d = Diagram(); d.node('bare'); d.node('b', label='other');"
        "d.edge('bare', 'b', label='edge'); assert '>bare</text>' in d.svg()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_a_picture_is_piped_and_rendered_as_graphviz_does(tmp_path):
    diagram = Diagram("chain", format="svg", engine="neato", directory=tmp_path)
    diagram.edge("a", "b")
    assert diagram.pipe(encoding="utf-8").startswith("<?xml")
    assert diagram.pipe("png", "cairo").startswith(b"\x89PNG")
    assert diagram.pipe() != diagram.pipe(engine="circo")
    assert diagram.render() == str(tmp_path / "chain.gv.svg")
    assert (tmp_path / "chain.gv").read_text() == diagram.source
    assert diagram.render("other", format="png", cleanup=True) == str(tmp_path / "other.png")
    assert not (tmp_path / "other").exists()
    assert diagram.render(outfile="third.pdf") == str(tmp_path / "third.pdf")
    assert (tmp_path / "third.pdf").read_bytes().startswith(b"%PDF")


def test_what_cannot_be_drawn_is_refused_by_type():
    diagram = Diagram(body=["a -> \n"])
    with pytest.raises(treeconv.TreeError, match="check what was added"):
        diagram.svg()
    diagram = Diagram()
    with pytest.raises(treeconv.TreeError, match="drawn as tune with dot"):
        diagram.pipe("tune")
    with pytest.raises(treeconv.TreeError, match="drawn as svg with magic"):
        diagram.pipe("svg", engine="magic")


@pytest.mark.parametrize("name", ['a"<b>', "$\\frac{1}$ & c;", "m:s", "output", "0", "node", "a b\\", "<b>", ""])
def test_odd_names_do_not_break_the_pictures(name):
    tree = treeconv.convert(lambda x: x[:, 0] * x[:, 1], samples(3), [name, "b", "1"])
    diagram = treeconv.to_graphviz(tree)
    shown = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    svg = diagram.svg()
    assert shown in svg
    assert svg.count('class="node"') == 5  # three inputs, the product, the output
    assert svg.count('class="edge"') == 3
    treeconv.plot(tree).canvas.draw()


@pytest.mark.slow
def test_graphviz_is_imported_where_it_is_used_only():
    code = "import sys, treeconv; assert not {'graphviz', 'pygraphviz', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    with pytest.raises(AttributeError, match="Digram"):
        _ = treeconv.Digram
