"""`kan2 plot`: the diagram of a network."""

from pathlib import Path
from typing import Annotated

import typer

from kan2.cli import _options as options
from kan2.cli._errors import DONE, Refusal
from kan2.cli._output import PICTURES


def plot(
    model: options.Model,
    output: Annotated[
        Path, typer.Option("-o", readable=False, metavar="FILE", help="Where to draw: .svg, .png or .pdf.")
    ],
    data: options.OptionalData = None,
    where: options.Where = None,
    title: Annotated[str | None, typer.Option(help="Text above the diagram.")] = None,
    scale: Annotated[
        float, typer.Option(min=0.1, max=20.0, help="Size relative to the usual one.", callback=options.finite)
    ] = 1.0,
    ticks: Annotated[bool, typer.Option("--ticks", help="Write the ranges at every activation.")] = False,
    force: options.Force = False,
) -> int:
    """Draws a network.

    Its nodes and the function on every edge. With DATA edges are drawn over its range, the darker the more they matter.
    """
    from kan2.cli._output import check_output, write_at_once
    from kan2.cli.predict import inputs_of, load

    check_output(output, force, PICTURES, [model, data])
    if where is not None and data is None:
        raise Refusal("expected a table beside --where, got none. Write kan2 plot MODEL DATA.")
    network = load(model)
    samples = None
    if data is not None:
        import torch

        x = inputs_of(network, data, where).x
        samples = torch.from_numpy(x).to(network.like)
    figure = network.plot(samples, title=title, scale=scale, ticks=ticks)
    write_at_once(output, lambda path: figure.savefig(path, bbox_inches="tight"))
    typer.echo(f"drawn in {output}")
    return DONE
