"""`kan2 tree`: which variables belong together, as a tree."""

from pathlib import Path
from typing import Annotated, Any

import typer

from kan2.cli import _options as options
from kan2.cli._complete import MODELS, data_files, model_files
from kan2.cli._errors import DONE, Refusal
from kan2.cli._output import PICTURES


def _sources(incomplete: str) -> list[str]:
    return sorted({*data_files(incomplete), *model_files(incomplete)})


def tree(
    source: Annotated[
        str, typer.Argument(metavar="DATA|MODEL", help="A table, or the file of a network.", autocompletion=_sources)
    ],
    data: Annotated[
        str | None,
        typer.Argument(metavar="[DATA]", help="For a network: a table of its inputs.", autocompletion=data_files),
    ] = None,
    target: options.Target = None,
    inputs: options.Inputs = None,
    where: options.Where = None,
    drop_missing: options.DropMissing = False,
    seed: options.Seed = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", readable=False, metavar="FILE", help="Draw it into this file: .svg, .png or .pdf."),
    ] = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> int:
    """Prints which variables belong together.

    The tree of sums, of products and of what is read together, in a table or in a network.
    """
    from kan2.cli._data import choose, selection_of
    from kan2.cli._output import check_output, note, write_at_once
    from kan2.cli._table import is_model

    check_output(output, force, PICTURES, [source, data])
    if is_model(source) or source.lower().endswith(MODELS):
        if target or inputs:
            raise Refusal("expected no --target and --inputs beside a network, which knows them. Leave them out.")
        if drop_missing:
            raise Refusal("expected no --drop-missing beside a network. Leave rows out with --where.")
        found = _of_model(Path(source), data, where)
    elif data is not None:
        raise Refusal(f"expected a network before the table, got {source!r}. Write kan2 tree DATA --target NAME.")
    else:
        from kan2.multkan import tree as tree_of_data

        chosen = choose(selection_of(source, target, inputs, where, drop_missing))
        for line in chosen.notes:
            note(line, quiet)
        found = tree_of_data(chosen.samples, seed=seed)
    trees = found if isinstance(found, list) else [found]
    if output is not None and len(trees) > 1:
        raise Refusal(f"expected one output to draw, got {len(trees)}. Name one with --target.")
    _print(trees, json)
    if output is not None:
        write_at_once(output, lambda path: _draw(trees[0], path))
    return DONE


def _of_model(path: Path, data: str | None, where: str | None) -> Any:
    import torch

    from kan2.cli.predict import inputs_of, load

    network = load(path)
    if data is None:
        raise Refusal("expected a table of the network's inputs after it, got none. Write kan2 tree MODEL DATA.")
    x = inputs_of(network, data, where).x
    if not (finite := torch.from_numpy(x).isfinite().all(1)).all():
        raise Refusal(f"expected a value in every row, got {int((~finite).sum())} rows without. Use --where.")
    return network.tree(torch.from_numpy(x).to(network.like))


def _draw(tree: Any, path: Path) -> None:
    import treeconv

    treeconv.plot(tree).savefig(path, bbox_inches="tight")


def _print(trees: list[Any], json: bool) -> None:
    from json import loads

    import treeconv
    from kan2.cli._output import echo_json

    if json:
        echo_json({"trees": [loads(treeconv.to_json(tree)) for tree in trees]})
        return
    for i, tree in enumerate(trees):
        typer.echo(("\n" if i else "") + str(tree))
        typer.echo(f"formula: {treeconv.skeleton(tree)}")
