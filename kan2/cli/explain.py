"""`kan2 explain`: what the compiler makes of a formula, or what every edge of a network is."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kan2.cli import _options as options
from kan2.cli._complete import DATA, MODELS, model_files
from kan2.cli._errors import DONE, Refusal
from kan2.cli._output import PICTURES
from kan2.cli.compile import Domain, Names, Optimize, as_typed, domain_of

if TYPE_CHECKING:
    from kan2.multkan import MultKAN


def explain(
    what: Annotated[
        list[str],
        typer.Argument(metavar="FORMULA|MODEL", help="Formulas, or a network.", autocompletion=model_files),
    ],
    data: Annotated[
        str | None, typer.Option("--data", metavar="DATA", help="For a network: a table, by which edges are ranked.")
    ] = None,
    where: options.Where = None,
    inputs: Names = None,
    domain: Domain = None,
    optimize: Optimize = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", readable=False, metavar="FILE", help="Draw it into this file: .svg, .png or .pdf."),
    ] = None,
    force: options.Force = False,
) -> int:
    """Explains a formula, or a network.

    A formula stage by stage to the network that computes it, a network edge by edge.
    """
    from kan2.cli._output import check_output, write_at_once

    check_output(output, force, PICTURES, [*what, data])
    if len(what) == 1 and _is_file(what[0]):
        if inputs or domain or optimize:
            raise Refusal("expected no --inputs, --domain and --optimize beside a network. Leave them out.")
        if where is not None and data is None:
            raise Refusal("expected a table beside --where, got none. Add it with --data.")
        draw = _network(Path(what[0]), data, where)
    else:
        if data is not None or where is not None:
            raise Refusal(f"expected a network beside --data and --where, got the formula {what[0]!r}.")
        draw = _formula(what, options.names(inputs), domain_of(domain), optimize)
    if output is not None:
        write_at_once(output, lambda path: draw().savefig(path, bbox_inches="tight"))
    return DONE


def _is_file(word: str) -> bool:
    # What is no formula, or would be an odd one.
    is_named_so = word.lower().endswith((*MODELS, *DATA)) and " " not in word
    return is_named_so or os.path.isfile(word)


def _formula(what: list[str], inputs: list[str] | None, domain: Any, optimize: str | None) -> Any:
    import kanpiler

    with as_typed():
        explanation = kanpiler.explain(what[0] if len(what) == 1 else what, inputs, domain, optimize)
    typer.echo(str(explanation))
    return explanation.plot


def _network(path: Path, data: str | None, where: str | None) -> Any:
    from kan2.cli import screen
    from kan2.cli.predict import inputs_of, load

    network, samples = load(path), None
    if data is not None:
        import torch

        x = inputs_of(network, data, where).x
        samples = torch.from_numpy(x).to(network.like)
    columns = ["edge", "from", "to", "what it is"]
    rows = _edges(network)
    if samples is not None:
        scores = _scores(network, samples)
        rows = [[*row, f"{scores[edge.index]:.2g}"] for row, edge in zip(rows, network.spec.edges())]
        columns.append("score")
    screen.show(columns, rows, right=("score",))
    return lambda: network.plot(samples)


def _edges(network: "MultKAN") -> list[list[str]]:
    # The terms of every edge with their numbers: y = c f(a x + b) + d.
    found = []
    names = list(network.spec.features)
    for index, layer in enumerate(network.layers):
        targets = _subnodes(layer.spec, index, len(network.layers), network.spec.outputs)
        affine = [] if layer.symbolic is None else layer.symbolic.affine.detach().tolist()
        shapes = [] if layer.symbolic is None else layer.symbolic.shape.detach().tolist()
        for edge in (edge for edge in network.spec.edges() if edge.layer == index):
            parts = [
                _term(term.function, numbers, shape, names[edge.source])
                for term, numbers, shape in zip(layer.spec.terms, affine, shapes)
                if (term.target, term.source) == (edge.target, edge.source)
            ]
            if edge.is_numeric:
                parts.append(f"{layer.spec.basis.kind}, {layer.spec.basis.grid} intervals")
            text = " + ".join(parts)
            found.append([str(edge.index).replace(" ", ""), names[edge.source], targets[edge.target], text])
        names = [f"n{index + 1}.{node}" for node in range(layer.spec.n_out)]
    return found


def _subnodes(spec: Any, index: int, n_layers: int, outputs: Any) -> list[str]:
    # Sums are nodes; the factors of a product are told apart.
    is_last = index == n_layers - 1
    nodes = list(outputs) if is_last else [f"n{index + 1}.{node}" for node in range(spec.n_out)]
    found = [""] * sum(len(group) for group in spec.groups)
    for node, group in enumerate(spec.groups):
        for k, subnode in enumerate(group):
            found[subnode] = nodes[node] if len(group) == 1 else f"{nodes[node]} (factor {k + 1})"
    return found


def _term(function: str, affine: list[float], shape: float, source: str) -> str:
    a, b, c, d = affine
    inner = source if a == 1 else f"{a:.4g}*{source}"
    inner = inner if b == 0 else f"{inner} {'+' if b > 0 else '-'} {abs(b):.4g}"
    name = f"power {shape:.4g}" if function == "power" else function
    value = inner if name == "x" else f"{name} of ({inner})"
    scaled = value if c == 1 else f"{c:.4g}*({value})"
    return scaled if d == 0 else f"{scaled} {'+' if d > 0 else '-'} {abs(d):.4g}"


def _scores(network: "MultKAN", samples: Any) -> dict[Any, float]:
    found = network.attribute(samples)
    return {edge.index: float(found.edges[edge.layer][edge.target, edge.source]) for edge in network.spec.edges()}
