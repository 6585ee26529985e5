"""A Graphviz diagram that draws itself: the engine comes with the package pygraphviz, no program `dot` is needed.

`Diagram` is a `graphviz.Digraph`: nodes, edges and attributes can be added to it, and it shows itself in a notebook.
Everything that would start `dot` runs the engine in this process instead.

Reference: E. R. Gansner, E. Koutsofios, S. C. North, K.-P. Vo, "A technique for drawing directed graphs", IEEE Trans.
Softw. Eng. 19, 214 (1993).
"""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path
from typing import Any

import graphviz

from treeconv.errors import TreeError

PICTURES = ("svg", "png", "pdf")
TEXTS = ("dot", "gv")

FilePath = str | os.PathLike[str]


@functools.cache
def _engine() -> Any:
    import pygraphviz

    # In a graph read before the engine first drew one, nodes without a label would stay without their names.
    pygraphviz.AGraph().draw(format="dot", prog="nop")
    return pygraphviz


class Diagram(graphviz.Digraph):
    """A directed graph in the DOT language with `svg()`, `png()` and `save(path)`.

    Args and attributes are those of `graphviz.Digraph`; `source` is the text.

    Example:
        >>> diagram = Diagram(node_attr={"shape": "box"})
        >>> diagram.edge("a", "b")
        >>> diagram.svg()[-7:-1], diagram.png()[1:4]
        ('</svg>', b'PNG')
    """

    def svg(self) -> str:
        """Returns the picture as SVG text."""
        return self.pipe("svg", encoding="utf-8")

    def png(self) -> bytes:
        """Returns the picture as PNG bytes."""
        return self.pipe("png")

    def pipe(
        self,
        format: str | None = None,
        renderer: str | None = None,
        formatter: str | None = None,
        quiet: bool = False,
        *,
        engine: str | None = None,
        encoding: str | None = None,
    ) -> Any:
        """Returns the picture.

        Args:
            format: Such as "svg", "png", "pdf"; by default the attribute `format`.
            renderer: What draws, such as "cairo", where there is a choice.
            formatter: What writes the bytes, such as "gd", where there is a choice.
            quiet: Changes nothing; no other program runs.
            engine: The layout, such as "dot" or "neato"; by default the attribute `engine`.
            encoding: Of text, for formats that are text.

        Returns:
            Bytes, or text when an encoding is given.

        Raises:
            TreeError: If there is no such format or engine, or what was added to the source is not in the DOT language.
        """
        pygraphviz = _engine()
        parts = format or self.format, renderer or self.renderer, formatter or self.formatter
        kind = ":".join(part for part in parts if part)
        program = engine or self.engine
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the engine warns about fonts
                drawn = pygraphviz.AGraph(string=self.source).draw(format=kind, prog=program)
        except (pygraphviz.DotError, ValueError, TypeError) as error:
            # of a format it does not know, pygraphviz only says that a number has no parts
            raise TreeError(
                f"to_graphviz: expected a diagram that can be drawn as {kind} with {program}, got {error}. "
                "Use svg, png or pdf with dot, and check what was added to the source."
            ) from error
        picture = bytes(drawn or b"")
        return picture if encoding is None else picture.decode(encoding)

    def save(self, filename: FilePath | None = None, directory: FilePath | None = None, **options: Any) -> str:
        """Writes the picture, or its text, to a file.

        Args:
            filename: Where to; the ending decides: .svg, .png and .pdf are pictures, .dot and .gv the text. By default
                the attribute `filename`.
            directory: The folder, made if need be; by default the attribute `directory`.
            options: Passed on to `graphviz.Digraph.save`, for texts.

        Returns:
            The path.

        Raises:
            TreeError: If the ending is none of these.
        """
        path = Path(os.fsdecode(directory or self.directory), filename or self.filename)
        ending = path.suffix.lower().lstrip(".")
        if ending in TEXTS:
            return super().save(filename, directory=directory, **options)
        if ending not in PICTURES:
            raise TreeError(
                f"save: expected a path ending in .svg, .png, .pdf, .dot or .gv, got {path}. Change the ending."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.pipe(ending))
        return str(path)

    def render(
        self,
        filename: FilePath | None = None,
        directory: FilePath | None = None,
        view: bool = False,
        cleanup: bool = False,
        format: str | None = None,
        renderer: str | None = None,
        formatter: str | None = None,
        quiet: bool = False,
        quiet_view: bool = False,
        *,
        outfile: FilePath | None = None,
        engine: str | None = None,
    ) -> str:
        """Writes the text and, beside it, the picture.

        Args:
            filename: Of the text; the picture's name adds the format. By default the attribute `filename`.
            directory: The folder, made if need be; by default the attribute `directory`.
            view: Whether to open the picture with the program of the system.
            cleanup: Whether to remove the text again.
            format: As in `pipe`; by default the ending of `outfile`, then the attribute `format`.
            renderer: As in `pipe`.
            formatter: As in `pipe`.
            quiet: Changes nothing; no other program runs.
            quiet_view: Opens the picture, and keeps what the program prints to itself.
            outfile: Of the picture, if it is to have another name than the text.
            engine: As in `pipe`.

        Returns:
            The path of the picture.

        Raises:
            TreeError: As in `pipe`.
        """
        folder = Path(os.fsdecode(directory or self.directory))
        if outfile is not None:
            format = format or Path(outfile).suffix.lower().lstrip(".") or None
            filename = filename or Path(outfile).with_suffix(".gv")
        picture = self.pipe(format, renderer, formatter, engine=engine)
        text = super().save(filename, directory=directory)
        parts = formatter or self.formatter, renderer or self.renderer, format or self.format
        path = Path(".".join([text, *(part for part in parts if part)])) if outfile is None else folder / outfile
        path.write_bytes(picture)
        if cleanup:
            os.remove(text)
        if view or quiet_view:
            graphviz.view(path, quiet=quiet_view)
        return str(path)
