"""What the JSON of a tree may hold: types of all parts, and that the parts are a tree.

A text is checked before a graph is made of it, so that what comes out of `from_json` can be walked, printed and drawn.

Reference: the node-link format of networkx, https://networkx.org/documentation/stable/reference/readwrite/json_graph.html
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Sequence
from typing import Any

MAX_DEPTH = 200
"""Levels of a tree that walks through it can take; a tree has at most as many as inputs."""

MAX_NESTING = 20
"""Levels of the lists and objects in a setting."""


class NoTreeError(ValueError):
    """A text is not the JSON of a tree; the message says what came instead."""


def read_tree(text: Any, kinds: Sequence[str]) -> dict[str, Any]:
    """Reads the node-link data of a tree and checks them.

    Args:
        text: The JSON text.
        kinds: What nodes there are, inputs first.

    Raises:
        NoTreeError: The text is something else.
    """
    if not isinstance(text, str | bytes | bytearray):
        raise NoTreeError(f"a {type(text).__name__}")
    try:
        data = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError:
        raise NoTreeError("JSON that is nested too deeply") from None
    except NoTreeError:
        raise
    except ValueError as error:
        raise NoTreeError(f"another text ({str(error)[:80]})") from None
    _need(isinstance(data, dict) and {"graph", "nodes", "edges"} <= set(data), data, "graph, nodes and edges")
    _need(data.get("directed") is not False and not data.get("multigraph"), "another kind of graph", "a directed graph")
    _check_graph(data["graph"])
    names = data["graph"]["names"]
    _check_nodes(data["nodes"], kinds, set(names))
    _check_edges(data["edges"], {node["id"]: node for node in data["nodes"]}, data["graph"], kinds[0])
    return data


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise NoTreeError("an object that has a key twice")
    return found


def _constant(text: str) -> float:
    if text == "NaN":
        raise NoTreeError("a number that is none, NaN")
    return math.inf if text == "Infinity" else -math.inf


def _need(holds: bool, value: Any, expected: str) -> None:
    if not holds:
        shown = reprlib.repr(value)
        raise NoTreeError(f"{shown if len(shown) < 100 else shown[:100] + '...'} in place of {expected}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and _fits(value)


def _fits(value: float) -> bool:
    return isinstance(value, float) or abs(value) < 2**1023


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_name(value: Any) -> bool:
    # Lone halves of a pair of UTF-16 cannot be printed.
    return isinstance(value, str) and not any("\ud800" <= letter <= "\udfff" for letter in value)


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_name, value)) and len(set(value)) == len(value)


def _is_shallow(value: Any, depth: int = 0) -> bool:
    if isinstance(value, dict | list):
        parts = value.values() if isinstance(value, dict) else value
        return depth < MAX_NESTING and all(_is_shallow(part, depth + 1) for part in parts)
    return _is_name(value) or value is None or isinstance(value, bool) or (
        isinstance(value, int | float) and _fits(value)
    )  # fmt: skip


_ATTRIBUTES: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("score", "threshold", "confidence"), (_is_number, "a number")),
    "bias": (lambda value: value is None or _is_number(value), "a number or null"),
    "interrupted": (lambda value: isinstance(value, bool), "true or false"),
    "nearest": (_is_name, "the name of a structure"),
}


def _check_attributes(attributes: dict[str, Any], required: Sequence[str]) -> None:
    for name in required:
        _need(name in attributes, attributes, f"a node with {name}")
    for name, value in attributes.items():
        check, expected = _ATTRIBUTES.get(name, (_is_shallow, "a value without deep nesting"))
        _need(_is_name(name) and check(value), value, expected)


def _check_graph(graph: Any) -> None:
    required = {"root", "names", "irrelevant"}
    _need(isinstance(graph, dict) and required <= set(graph), graph, "a graph with root, names and irrelevant")
    names, irrelevant = graph["names"], graph["irrelevant"]
    _need(_is_text_list(names), names, "a list of different names")
    _need(_is_text_list(irrelevant) and set(irrelevant) <= set(names), irrelevant, "a list of some of the names")
    _need(_is_whole(graph.get("output", 0)), graph.get("output"), "the number of an output")
    _need(isinstance(graph.get("settings", {}), dict), graph.get("settings"), "settings by name")
    _check_attributes({key: value for key, value in graph.items() if key not in required}, ())


def _check_nodes(nodes: Any, kinds: Sequence[str], names: set[str]) -> None:
    _need(isinstance(nodes, list) and all(isinstance(node, dict) for node in nodes), nodes, "a list of nodes")
    seen = set()
    for node in nodes:
        kind, inputs, place = node.get("kind"), node.get("inputs"), node.get("id")
        _need(isinstance(kind, str) and kind in kinds, kind, f"one of {', '.join(kinds)}")
        _need(_is_text_list(inputs) and set(inputs) <= names, inputs, "a list of some of the names")
        is_input = kind == kinds[0]
        _need(_is_name(place) if is_input else _is_whole(place), place, "the name of an input or the number of a node")
        _need(place not in seen, place, "a node that is there once")
        _need(not is_input or inputs == [place], inputs, "the input itself")
        seen.add(place)
        rest = {name: value for name, value in node.items() if name not in ("kind", "inputs", "id")}
        _check_attributes(rest, ("score", "threshold"))


def _check_edges(edges: Any, nodes: dict[Any, dict[str, Any]], graph: dict[str, Any], leaf: str) -> None:
    _need(isinstance(edges, list) and all(isinstance(edge, dict) for edge in edges), edges, "a list of edges")
    children: dict[Any, list[Any]] = {place: [] for place in nodes}
    parents: dict[Any, list[Any]] = {place: [] for place in nodes}
    for edge in edges:
        child, parent = (edge.get(end) for end in ("source", "target"))
        for end in (child, parent):
            _need((_is_name(end) or _is_whole(end)) and end in nodes, end, "a node")
        _need(nodes[parent]["kind"] != leaf and child not in children[parent], [child, parent], "a new edge to a node")
        children[parent].append(child)
        parents[child].append(parent)
        _check_attributes({name: value for name, value in edge.items() if name not in ("source", "target")}, ())
        _need(bool(nodes[child]["inputs"]), child, "a child that has inputs")
    root = graph["root"]
    _need((_is_name(root) or _is_whole(root)) and root in nodes, root, "the root")
    for name in graph["irrelevant"]:
        _need(name in nodes and not parents[name] and name != root, name, "an irrelevant input without a parent")
    apart = {root, *graph["irrelevant"]}
    for place, above in parents.items():
        n_allowed = len(above) if nodes[place]["kind"] == leaf and above else 1
        _need(len(above) == (0 if place in apart else n_allowed), place, "a node with one parent")
    _need(_below(root, children, nodes, leaf) == len(nodes) - len(graph["irrelevant"]), "nodes in a circle", "a tree")


def _below(root: Any, children: dict[Any, list[Any]], nodes: dict[Any, dict[str, Any]], leaf: str) -> int:
    """Checks level by level that inputs are those of the children, and returns how many nodes the root reaches."""
    level, seen, depth = [root], {root}, 0
    while level:
        _need(depth < MAX_DEPTH, f"more than {MAX_DEPTH} levels", "a tree")
        for place in level:
            below = [set(nodes[child]["inputs"]) for child in children[place]]
            if nodes[place]["kind"] != leaf:
                _need(set().union(*below) == set(nodes[place]["inputs"]), nodes[place]["inputs"], "the inputs below")
        # Inputs may stand below several nodes, and are met once.
        level = [*dict.fromkeys(child for place in level for child in children[place] if child not in seen)]
        seen.update(level)
        depth += 1
    return len(seen)
