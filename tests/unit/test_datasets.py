"""Data sets that come with the package: what each says, and the laws they are held to."""

import csv
import re
from importlib.resources import files

import numpy as np
import pytest
import scipy.special
import sympy
import torch

from kan2 import datasets
from kan2.datasets import feynman, functions, knots
from kan2.datasets.measured import MEASURED
from kan2.errors import DataError, UnknownNameError
from kan2.expressions.parse import parse_expression

MEASUREMENTS = datasets.names("measured")


@pytest.mark.parametrize("name", datasets.names())
def test_every_data_set_is_loaded_and_told(name):
    told = datasets.describe(name)
    data = datasets.load(name, **({"n": 20} if told.rows is None else {}))
    assert data.inputs == told.inputs
    assert data.outputs == told.outputs
    assert len(data) == (20 if told.rows is None else told.rows)
    assert bool(torch.isfinite(data.X).all())
    assert bool(torch.isfinite(data.y).all())
    assert len({*data.inputs, *data.outputs}) == len(data.inputs) + len(data.outputs)
    for part in (told.title, told.source, told.law):
        assert len(part) > 3
        assert part in data.description
    assert {column for column, _ in data.units} <= {*data.inputs, *data.outputs}


@pytest.mark.parametrize("name", MEASURED)
def test_measurements_are_those_of_the_file(name):
    text = (files("kan2.datasets") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(line for line in text.splitlines() if not line.startswith("#")))
    table = datasets.table(name)
    assert table.columns == tuple(rows[0]) == datasets.describe(name).columns
    assert len(table) == len(rows)
    for column in table.columns:
        if column not in ("body", "object"):
            assert table[column].tolist() == [float(row[column]) for row in rows]
    assert table.comments[0] == text.splitlines()[0].removeprefix("# ")


def test_measurements_follow_their_laws():
    planets = datasets.load("planets")
    assert float((planets.y / planets.X**1.5 - 1).abs().max()) < 1e-3
    bodies = datasets.table("planet_bodies")
    gravity = 6.6743e-11
    radius, mass = bodies["diameter"] * 500, bodies["mass"] * 1e24
    np.testing.assert_allclose(bodies["escape_velocity"] * 1e3, np.sqrt(2 * gravity * mass / radius), rtol=0.012)
    # The equator is wider than the mean, and turning takes from gravity: both in one direction.
    density, pull = mass / (4 / 3 * np.pi * radius**3), gravity * mass / radius**2
    assert ((bodies["density"] / density > 0.995) & (bodies["density"] / density < 1.12)).all()
    assert ((bodies["gravity"] / pull < 1.007) & (bodies["gravity"] / pull > 0.85)).all()
    n, wavelength = (column[:, 0] for column in (datasets.load("balmer").X, datasets.load("balmer").y))
    assert float((wavelength / (364.5 * n**2 / (n**2 - 4)) - 1).abs().max()) < 3e-4


def test_rates_of_a_time_series_are_differences():
    table, data = datasets.table("hudson_bay"), datasets.load("hudson_bay")
    assert len(table) == len(data) + 2 == 21
    assert data.X[0].tolist() == [table["hare"][1], table["lynx"][1]]
    assert data.y[0].tolist() == pytest.approx([(70.2 - 30) / 2, (9.8 - 4) / 2])
    assert "central differences" in data.description
    assert dict(data.units)["hare_rate"] == "10^3/yr"


def test_text_stays_in_the_table():
    assert datasets.table("hubble_1929").columns[0] == "object"
    assert datasets.load("hubble_1929").inputs == ("distance",)
    with pytest.raises(DataError, match="text"):
        datasets.table("hubble_1929")["object"]


def test_knots():
    x, names = knots.features(knots.read_knots())
    data = datasets.load("knots")
    assert data.X.shape == x.shape == (12955, 17)
    assert all(parse_expression(name) == sympy.Symbol(name) for name in data.inputs)
    assert names[:11] == list(data.inputs[:11])
    column = data.inputs.index("symmetry_D4")
    assert float(data.X[:, column].sum()) == (datasets.table("knots").arrow["symmetry_group"].to_numpy() == "D4").sum()


@pytest.mark.parametrize("name", [n for n in datasets.names() if datasets.describe(n).rows is None][::7])
def test_samples_follow_the_formula(name):
    told, data = datasets.describe(name), datasets.load(name, n=30, seed=3)
    low, high = torch.tensor([bounds[1:] for bounds in told.ranges], dtype=torch.float64).T
    assert bool(((low <= data.X) & (high >= data.X)).all())
    formula = told.law.partition(" = ")[2]
    if name.split("/")[1] in functions.SPECIAL or name in ("kan1/hundred", "kan1/bessel", "kan1/exp_bessel"):
        return
    expression = parse_expression(formula, names=told.inputs)
    expected = sympy.lambdify([sympy.Symbol(n) for n in told.inputs], expression, "numpy")(*data.X.numpy().T)
    np.testing.assert_allclose(data.y[:, 0], expected, rtol=1e-12)


def test_functions_that_scipy_computes():
    for name, f in (
        ("kan1/bessel", lambda x: scipy.special.jv(0, 20 * x[:, 0])),
        ("kan1/jv", lambda x: scipy.special.jv(x[:, 0], x[:, 1])),
        ("kan1/sph_harm_1_1", lambda x: np.sqrt(3 / (8 * np.pi)) * -np.sin(x[:, 1]) * np.cos(x[:, 0])),
        ("kan1/hundred", lambda x: np.exp(np.mean(np.sin(np.pi * x / 2) ** 2, 1))),
    ):
        data = datasets.load(name, n=50)
        np.testing.assert_allclose(data.y[:, 0], f(data.X.numpy()), rtol=1e-9, atol=1e-12)


def test_seeds_noise_and_tests():
    one, same, other = (datasets.load("feynman/I.12.1", n=200, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.X, same.X)
    assert not torch.equal(one.X, other.X)
    noisy = datasets.load("feynman/I.12.1", n=2000, seed=1, noise=0.1, n_test=10)
    off = noisy.y[:, 0] - noisy.X.prod(1)
    assert float(off.std() / noisy.X.prod(1).std()) == pytest.approx(0.1, rel=0.1)
    assert noisy.X_test is not None
    assert len(noisy.X_test) == 10
    some = datasets.load("cherry_trees", n=10, seed=4)
    rows = {tuple(row) for row in datasets.load("cherry_trees").X.tolist()}
    assert len(some) == 10
    assert {tuple(row) for row in some.X.tolist()} <= rows
    for options, match in (
        ({"n": 32}, "from 1 to the 31 rows"),
        ({"n": 0}, "n as a whole number >= 1"),
        ({"noise": 0.1}, "formulas alone"),
    ):
        with pytest.raises(DataError, match=match):
            datasets.load("cherry_trees", **options)


def test_names_and_groups():
    everything = datasets.names()
    assert len(set(everything)) == len(everything)
    groups = ("measured", "nist", "feynman", "dimensionless", "kan1", "kan2")
    assert sum((datasets.names(group) for group in groups), ()) == everything
    assert [len(datasets.names(group)) for group in groups[1:4]] == [27, 120, 27]
    assert datasets.load("feynman/I.6.20a", n=5).description == datasets.load("feynman/I.6.2a", n=5).description
    assert all(name.split("/")[1] in {e.name for e in feynman.with_units()} for name in datasets.names("feynman"))


def test_names_that_are_none():
    for name, match in (
        ("balmr", "Did you mean 'balmer'"),
        ("I.12.1", "'feynman/I.12.1'"),
        ("kan1/besel", "kan1/bessel"),
    ):
        for verb in (datasets.load, datasets.describe, datasets.table):
            with pytest.raises(UnknownNameError, match=match) as refusal:
                verb(name)
            assert re.fullmatch(r"[^\n]+", str(refusal.value))
    with pytest.raises(UnknownNameError, match="unknown group"):
        datasets.names("newton")
    with pytest.raises(DataError, match=r"Sample it: load\('kan1/product', n=\.\.\.\)"):
        datasets.table("kan1/product")


def test_descriptions_are_read_by_people():
    text = str(datasets.describe("boyle_1662"))
    assert "Accepted law: pressure = k/volume" in text
    assert "pressure [inHg]" in text
    assert datasets.describe("boyle_1662")._repr_html_().count("<div>") == len(text.splitlines())
