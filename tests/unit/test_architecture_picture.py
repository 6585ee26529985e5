"""The picture and the table of docs/architecture.md show the rooms that there are, and the imports between them."""

import doctest
import importlib.util
import re
from pathlib import Path
from xml.etree import ElementTree

import networkx as nx
import pytest
from test_architecture import ARROWS

ROOT = Path(__file__).resolve().parents[2]
AGAIN = "docs/images/architecture.svg is out of date. Run python docs/make_architecture.py."


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_architecture", ROOT / "docs" / "make_architecture.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def drawn() -> set[tuple[str, ...]]:
    picture = ElementTree.fromstring((ROOT / "docs" / "images" / "architecture.svg").read_text())
    return {tuple(group.get("id").split(":")) for group in picture.iter("{http://www.w3.org/2000/svg}g")}


def test_the_picture_shows_the_rooms_of_the_code(script, drawn):
    assert {name for kind, name, *_ in (d for d in drawn if d[0] == "room")} == set(script.rooms()), AGAIN


def test_the_picture_shows_the_imports_of_the_code(script, drawn):
    graph = nx.DiGraph([arrow[1:] for arrow in drawn if arrow[0] == "arrow"])
    graph.add_nodes_from(script.rooms())
    assert nx.transitive_closure(graph).edges == nx.transitive_closure(script.arrows()).edges, AGAIN
    assert nx.transitive_reduction(graph).edges == graph.edges, "an arrow says what others say already"


def test_the_script_reads_imports_as_the_house_rules_do(script):
    rooms = {(script.room(a), script.room(b)) for a, b in ARROWS}
    assert set(script.arrows().edges) == {(a, b) for a, b in rooms if a != b}


def test_the_page_has_a_row_for_every_room(script):
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)(?:/|\.py)?` \|", page, re.MULTILINE)
    assert sorted(rows) == sorted(script.rooms()), "the table of rooms in docs/architecture.md"


@pytest.mark.slow
def test_drawing_twice_gives_the_same_picture(script):
    assert script.drawing() == script.drawing()


def test_the_examples_of_the_script_run(script):
    assert doctest.testmod(script).failed == 0
