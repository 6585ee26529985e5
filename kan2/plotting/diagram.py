"""The network diagram: nodes, products, and the activation drawn on every edge.

Splines stand in thin boxes; symbolic edges in thick ones with the name of their function; an edge that is both has a
thick dashed box. The stronger the score of an edge, the darker it is: opacity is tanh(beta * score).

Reference: Liu et al., KAN (arXiv 2404.19756), figure 2.4.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kan2 import options
from kan2.analysis.attribution import attribute, finite_samples
from kan2.core.data import Columns
from kan2.core.network import Network
from kan2.core.spec import LayerSpec, NetworkSpec
from kan2.core.verbs import verb
from kan2.plotting._layout import LayerLayout, Layout, lay_out
from kan2.plotting.curves import layer_curves, layer_inputs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_POINTS = 101
SPLINE, SYMBOLIC, LINE = (0.10, 0.10, 0.12), (0.65, 0.08, 0.10), (0.35, 0.37, 0.42)
FAINTEST = 0.06  # an edge without any score is still there
CHARACTER = 0.085  # width of a character of a label, in inches


@verb
def plot(
    model: Network,
    data: Any = None,
    *,
    beta: float = 3.0,
    in_vars: Sequence[str] | None = None,
    out_vars: Sequence[str] | None = None,
    title: str | None = None,
    scale: float = 1.0,
    ticks: bool = False,
    target: Columns | None = None,
) -> "Figure":
    """Draws the diagram of a network.

    Args:
        model: the network.
        data: samples for scores and ranges, see `MultKAN.samples`; by default those of the last fit. Without any, all
            edges are drawn alike, over the ranges of the grids.
        beta: how fast opacity grows with the score, > 0.
        in_vars: labels of what the first layer reads; by default its names.
        out_vars: labels of the outputs.
        title: text above the diagram.
        scale: size of the figure relative to the default.
        ticks: write the range of x and y at every activation.
        target: name of the column of targets in a table as a whole, or several; by default those of the outputs.

    Returns:
        a matplotlib Figure.

    Raises:
        DataError: an option is of the wrong type or out of range.
        ShapeError: the number of labels does not match.

    Example:
        >>> from kan2 import MultKAN
        >>> plot(MultKAN([2, [2, 1], 1])).axes[0].get_xlabel()
        ''
    """
    options.network("plot", model)
    spec = model.spec
    beta = options.number("plot", "beta", beta, 0, above=True)
    scale = options.number("plot", "scale", scale, 0, above=True)
    ticks, title = (
        options.flag("plot", "ticks", ticks),
        title if title is None else options.text("plot", "title", title),
    )
    in_labels, out_labels = (
        list(known if given is None else options.names("plot", what, given, len(known)))
        for what, given, known in (("in_vars", in_vars, spec.features), ("out_vars", out_vars, spec.outputs))
    )
    if data is not None or model.data is not None:
        data = finite_samples(model, data, "plot")
    inputs = layer_inputs(model, data)
    opacity = _opacity(model, data, beta)
    layout = lay_out(spec)
    pen = _Pen(layout, in_labels, out_labels, title, scale)
    below = layout.inputs
    for i, (layer, place) in enumerate(zip(model.layers, layout.layers)):
        alpha = np.array([opacity[i][pair] for pair in place.pairs])
        x, y = layer_curves(layer, inputs[i], N_POINTS)
        pen.connections(layer.spec, place, below, alpha)
        pen.icons(layer.spec, place, alpha, x, y, ticks, _unknown(spec, i))
        pen.nodes(layer.spec, place)
        below = place.nodes
    return pen.figure


def _unknown(spec: NetworkSpec, layer: int) -> dict[tuple[int, int], str]:
    # Names of the unknown functions of a theory, by (target, source).
    functions = () if spec.theory is None else spec.theory.functions
    return {edge[1:]: one.name for one in functions for edge in one.edges if edge[0] == layer}


def _opacity(model: Network, data: Any, beta: float) -> list[np.ndarray]:
    # A parameter of a theory does not vary, which is all that scores know of it.
    if data is None or model.spec.theory is not None:
        return [np.ones((layer.n_subnodes, layer.n_in)) for layer in model.spec.layers]
    scores = attribute(model, data, outputs="max").edges
    return [np.maximum(np.tanh(beta * edges.cpu().double().numpy()), FAINTEST) for edges in scores]


class _Pen:
    """Draws the parts of a diagram with few artists: one collection for each kind of line in a layer."""

    def __init__(
        self, layout: Layout, in_labels: Sequence[str], out_labels: Sequence[str], title: str | None, scale: float
    ) -> None:
        from kan2.plotting._figure import new_figure

        self.scale, self.icon = scale, layout.icon
        left = right = 0.25
        margins = []
        for labels, places in ((in_labels, layout.inputs), (out_labels, layout.layers[-1].nodes)):
            pitch = layout.width / len(places)
            longest = CHARACTER * max(map(len, labels))
            is_upright = longest > pitch - 0.05 and len(labels) > 1
            margins.append((0.2 + (longest if is_upright else 0.2), is_upright))
            if not is_upright:
                left = max(left, longest / 2 - places[0, 0] + 0.1)
                right = max(right, places[-1, 0] + longest / 2 - layout.width + 0.1)
        (bottom, _), (top, _) = margins
        if title:
            top += 0.4
            excess = 1.2 * CHARACTER * len(title) - (layout.width + left + right)
            left, right = left + max(0, excess) / 2, right + max(0, excess) / 2
        width, height = layout.width + left + right, layout.height + bottom + top
        self.figure = new_figure(width * scale, height * scale)
        self.axes = self.figure.add_axes((0, 0, 1, 1), frame_on=False)
        self.axes.set(xlim=(-left, layout.width + right), ylim=(-bottom, layout.height + top), xticks=[], yticks=[])
        for labels, places, (_, is_upright), side in (
            (in_labels, layout.inputs, margins[0], -1),
            (out_labels, layout.layers[-1].nodes, margins[1], 1),
        ):
            for label, (x, y) in zip(labels, places):
                self.text(
                    x, y + 0.14 * side, label, 11, va="top" if side < 0 else "bottom", rotation=90 if is_upright else 0
                )
        if title:
            self.text(layout.width / 2, layout.height + top - 0.1, title, 13, va="top")
        self.axes.scatter(*layout.inputs.T, s=36 * scale**2, color=[SPLINE], zorder=5)

    def text(self, x: float, y: float, text: str, size: float, **options: Any) -> None:
        options = {"ha": "center", "color": SPLINE, **options}
        self.axes.text(x, y, text, fontsize=size * self.scale, zorder=6, **options)

    def lines(self, segments: Any, colours: Any, width: float, zorder: int) -> None:
        from matplotlib.collections import LineCollection

        self.axes.add_collection(
            LineCollection(segments, colors=colours, linewidths=width * self.scale, zorder=zorder, capstyle="round"),
            autolim=False,
        )

    def connections(self, spec: LayerSpec, place: LayerLayout, below: np.ndarray, alpha: np.ndarray) -> None:
        """Draws source - icon - subnode for every edge, and subnode - node for every product."""
        half = np.array([0, self.icon / 2])
        segments, colours = [], []
        for (target, source), centre, a in zip(place.pairs, place.icons, alpha):
            segments += [(below[source], centre - half), (centre + half, place.subnodes[target])]
            colours += [(*LINE, a)] * 2
        self.lines(segments, colours, 1.1, 1)
        if spec.arities:
            joints = [(place.subnodes[t], place.nodes[i]) for i, group in enumerate(spec.groups) for t in group]
            self.lines(joints, [(*LINE, 1.0)], 1.1, 1)

    def icons(
        self,
        spec: LayerSpec,
        place: LayerLayout,
        alpha: np.ndarray,
        x: np.ndarray,
        y: np.ndarray,
        ticks: bool,
        unknown: Mapping[tuple[int, int], str],
    ) -> None:
        """Draws the box and the curve of every edge, and the names of symbolic and of unknown functions."""
        from matplotlib.collections import PolyCollection

        if not place.pairs:
            return
        numeric = set(spec.numeric_pairs)
        names: dict[tuple[int, int], list[str]] = {}
        for term in spec.terms:
            names.setdefault((term.target, term.source), []).append(term.function)
        corners = self.icon / 2 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)])
        t = np.linspace(-0.42, 0.42, len(x)) * self.icon
        boxes, edges, widths, styles, curves, colours = [], [], [], [], [], []
        for pair, centre, a in zip(place.pairs, place.icons, alpha):
            colour = (*(SYMBOLIC if pair in names else SPLINE), a)
            boxes.append(centre + corners)
            edges.append(colour)
            widths.append((1.8 if pair in names else 0.7) * self.scale)
            styles.append("--" if pair in names and pair in numeric else "-")
            curve = _fit_into_box(y[:, pair[0], pair[1]]) * 0.84 * self.icon
            curves.append(np.stack([centre[0] + t, centre[1] + curve], 1))
            colours.append(colour)
            if pair in names or pair in unknown:
                label = "+".join([*names.get(pair, ()), *([unknown[pair]] if pair in unknown else ())])
                label = label if len(label) <= 12 else label[:11] + "…"
                bottom = centre[1] - self.icon / 2 - (0.07 if ticks else 0.035)
                box = {"facecolor": "white", "edgecolor": "none", "pad": 0.8 * self.scale}
                self.text(centre[0], bottom, label, 7, va="top", color=colour, bbox=box)
            if ticks:
                self.ticks(centre, x[:, pair[1]], y[:, pair[0], pair[1]], colour)
        self.axes.add_collection(
            PolyCollection(boxes, facecolors="white", edgecolors=edges, linewidths=widths, linestyles=styles, zorder=3),
            autolim=False,
        )
        self.lines(curves, colours, 1.3, 4)

    def ticks(self, centre: np.ndarray, x: np.ndarray, y: np.ndarray, colour: Any) -> None:
        """Writes the range of x below the box and that of y above it."""
        left, right = centre[0] - self.icon / 2, centre[0] + self.icon / 2
        bottom, top = centre[1] - self.icon / 2 - 0.02, centre[1] + self.icon / 2 + 0.02
        self.text(left, bottom, f"{x[0]:.2g}", 4, ha="left", va="top", color=colour)
        self.text(right, bottom, f"{x[-1]:.2g}", 4, ha="right", va="top", color=colour)
        if np.isfinite(y).any():
            self.text(left, top, f"{np.nanmin(y):.2g} … {np.nanmax(y):.2g}", 4, ha="left", color=colour)

    def nodes(self, spec: LayerSpec, place: LayerLayout) -> None:
        """Draws nodes: a ring with a plus or a cross in it; a dot for each factor of a product."""
        sums, products = place.nodes[: spec.n_sum], place.nodes[spec.n_sum :]
        factors = place.subnodes[spec.n_sum :]
        size = self.scale**2
        self.axes.scatter(*factors.T, s=14 * size, color=[SPLINE], zorder=5)
        for points, marker in ((sums, "+"), (products, "x")):
            self.axes.scatter(
                *points.T, s=110 * size, facecolor="white", edgecolor=[SPLINE], lw=1.1 * self.scale, zorder=5
            )
            self.axes.scatter(*points.T, s=42 * size, color=[SPLINE], marker=marker, lw=1.1 * self.scale, zorder=6)


def _fit_into_box(values: np.ndarray) -> np.ndarray:
    """Scales a curve to [-0.5, 0.5]; one that varies by no more than rounding becomes a flat line."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return np.full_like(values, np.nan)
    low, high = finite.min(), finite.max()
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return np.where(np.isfinite(values), 0.0, np.nan)
    return (values - (low + high) / 2) / (high - low)
