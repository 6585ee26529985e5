"""Tables of published measurements: what each is, and which of its columns are given and which are asked for.

Title, source and accepted law stand at the top of each file; units are here, in symbols.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.resources import as_file, files

import numpy as np

from kan2.tables.read import read
from kan2.tables.table import Table


@dataclass(frozen=True)
class Measured:
    """A table of measurements.

    Attributes:
        inputs: names of the columns that are given.
        outputs: names of those that are asked for.
        units: by name.
        note: what a user must know beside the title.
        derive: makes the columns of inputs and outputs from the table, where the file does not have them.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    units: dict[str, str] = field(default_factory=dict)
    note: str = ""
    derive: Callable[[Table], dict[str, np.ndarray]] | None = None


@dataclass(frozen=True)
class Header:
    """What the comments at the top of a file say.

    Attributes:
        title: its first sentence.
        source: where the numbers were published.
        law: what is accepted to hold between them.
        columns: how they are described.
    """

    title: str
    source: str
    law: str
    columns: str


def _rates(table: Table) -> dict[str, np.ndarray]:
    # Central differences over two years; the first year and the last have none.
    columns = {name: table[name] for name in ("year", "hare", "lynx")}
    step = columns["year"][2:] - columns["year"][:-2]
    rates = {f"{name}_rate": (columns[name][2:] - columns[name][:-2]) / step for name in ("hare", "lynx")}
    return {name: columns[name][1:-1] for name in ("hare", "lynx")} | rates


MEASURED = {
    "planets": Measured(("a",), ("T",), {"a": "au", "T": "yr"}),
    "planet_bodies": Measured(
        ("mass", "diameter"),
        ("escape_velocity",),
        {"mass": "10^24 kg", "diameter": "km", "density": "kg/m^3", "gravity": "m/s^2", "escape_velocity": "km/s"},
    ),
    "balmer": Measured(("n",), ("wavelength",), {"n": "1", "wavelength": "nm"}),
    "boyle_1662": Measured(
        ("volume",), ("pressure",), {"pressure": "inHg"}, "The unit of volume is the space between marks of the glass."
    ),
    "cherry_trees": Measured(("girth", "height"), ("volume",), {"girth": "in", "height": "ft", "volume": "ft^3"}),
    "hubble_1929": Measured(("distance",), ("velocity",), {"distance": "Mpc", "velocity": "km/s"}),
    "hudson_bay": Measured(
        ("hare", "lynx"),
        ("hare_rate", "lynx_rate"),
        {"year": "yr", "hare": "10^3", "lynx": "10^3", "hare_rate": "10^3/yr", "lynx_rate": "10^3/yr"},
        "The file has the pelts of 21 years. The rates are not measured: they are central differences, half of what "
        "the next year has more than the last one, for all years but the first and the last.",
        _rates,
    ),
    "mercury_vapour_pressure": Measured(
        ("temperature",), ("pressure",), {"temperature": "°C", "pressure": "mmHg"}
    ),
    "puromycin": Measured(
        ("concentration", "treated"), ("rate",), {"concentration": "ppm", "treated": "1", "rate": "1/min^2"},
        "The rate is in counts of radioactive decays a minute, each minute.",
    ),
    "stopping_distance": Measured(("speed",), ("distance",), {"speed": "mph", "distance": "ft"}),
}  # fmt: skip
"""The tables by name."""


def read_measured(name: str) -> tuple[Table, Header]:
    """Returns the table of a file that ships with the package, and what stands at its top."""
    with as_file(files("kan2.datasets") / "data" / f"{name}.csv") as path:
        table = read(path, units=False)
    units = {column: unit for column, unit in MEASURED[name].units.items() if column in table.columns}
    return Table(table.arrow, units, table.comments, table.source), header_of(table.comments)


def header_of(comments: tuple[str, ...]) -> Header:
    """Reads the comments at the top of a file.

    Example:
        >>> header_of(("Lines.", "Source: a book.", "n: level", "Accepted law: y = n")).law
        'y = n'
    """
    told = {"Source": "", "Accepted law": ""}
    others = []
    for line in comments:
        key, colon, text = line.partition(":")
        if colon and key in told:
            told[key] = text.strip()
        else:
            others.append(line)
    return Header(others[0] if others else "", told["Source"], told["Accepted law"], "; ".join(others[1:]))
