"""Draws the picture of docs/theories.md: `python docs/make_theories.py`, from the root of a checkout.

It runs the first example of the page and shows what each of its two parts leaves to the other one.

Reference: Cleveland, Visualizing Data (1993), for partial residuals.
"""

import re
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

PAGE = Path(__file__).with_name("theories.md")
PICTURE = PAGE.parent / "images" / "theories.png"


def drawing() -> Figure:
    """Returns the picture."""
    example: dict = {"__name__": "docs"}
    block, *_ = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    exec(compile(block, PAGE.name, "exec"), example)
    net, t, T, y = (example[name] for name in ("net", "t", "T", "y"))
    A, k, w, phi = (net.values[name] for name in ("A", "k", "w", "phi"))

    def wave(t: np.ndarray) -> np.ndarray:
        return A * np.exp(-k * t) * np.cos(w * t + phi)

    figure = Figure(figsize=(8.0, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    drift = net.function("f")
    fine = np.linspace(0, 10, 400)
    left.plot(t, y - drift(T), ".", color="#9db4c8", markersize=4)
    left.plot(fine, wave(fine), color="#a01a1a")
    left.set(xlabel="t", ylabel="y - f(T)", title="A exp(-k t) cos(w t + phi)")
    fine = np.linspace(0, 40, 400)
    right.plot(T, y - wave(t), ".", color="#9db4c8", markersize=4)
    right.plot(fine, drift(fine), color="#a01a1a", label="f, as it was fitted")
    right.plot(fine, 0.8 * np.log(1 + fine / 5), "--", color="black", label="0.8 log(1 + T/5)")
    right.set(xlabel="T", ylabel="y - oscillation", title="f(T), unknown")
    right.legend(frameon=False, loc="lower right")
    return figure


if __name__ == "__main__":
    drawing().savefig(PICTURE, dpi=160)
