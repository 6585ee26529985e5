"""The shipped table of knots obeys what is known of knots; the builder's own code is right on small ones."""

import cmath

import numpy as np
import pytest

from case_studies._knots.laws import best_law
from case_studies._knots.methods import MIRROR, split_of
from case_studies.knots_table import load
from case_studies.knots_table.build import pack
from case_studies.knots_table.signature import crossing_sign, determinant, signature
from case_studies.knots_table.torsion import adjoint, homology, lift, torsion_degree, word_image

# PD codes of the Rolfsen table: half-edges, counterclockwise from the incoming lower strand.
TREFOIL = [(1, 5, 2, 4), (3, 1, 4, 6), (5, 3, 6, 2)]
FIGURE_EIGHT = [(4, 2, 5, 1), (8, 6, 1, 5), (6, 3, 7, 4), (2, 7, 3, 8)]
CINQUEFOIL = [(2, 8, 3, 7), (4, 10, 5, 9), (6, 2, 7, 1), (8, 4, 9, 3), (10, 6, 1, 5)]


@pytest.fixture(scope="module")
def table():
    return load()


def test_every_hyperbolic_knot_is_there_once(table):
    # Prime knots per number of crossings, without torus knots: 3_1, 5_1, 7_1, 8_19, 9_1, 10_124, 11a_367, 13a_4878.
    counts = dict(zip(*np.unique(table["crossings"], return_counts=True)))
    assert counts == {4: 1, 5: 1, 6: 3, 7: 6, 8: 20, 9: 48, 10: 164, 11: 551, 12: 2176, 13: 9985}
    assert len(set(table["name"])) == 12955
    assert all(np.isfinite(column).all() for column in table.values() if column.dtype.kind == "f")


def test_cusp_volume_is_half_the_area_of_the_cusp(table):
    area = table["meridinal_translation_imag"] * table["longitudinal_translation"]
    np.testing.assert_allclose(table["cusp_volume"], area / 2, rtol=3e-7)


def test_degrees_and_signature_respect_the_genus(table):
    degree, bent, sigma = (
        table[name] for name in ("hyperbolic_torsion_degree", "hyperbolic_adjoint_torsion_degree", "signature")
    )
    genus = (degree + 2) / 4
    assert (genus == genus.round()).all()
    assert (np.abs(sigma) <= 2 * genus).all()
    assert (sigma % 2 == 0).all()
    assert (bent <= 6 * genus - 3).all()
    assert 0.97 < np.mean(bent == 6 * genus - 3) < 1


def test_geodesics_and_known_values(table):
    np.testing.assert_allclose(table["short_geodesic_real_part"], 2 * table["injectivity_radius"], rtol=1e-6)
    assert (np.abs(table["short_geodesic_imag_part"]) <= np.pi + 1e-6).all()
    row = int(np.flatnonzero(table["name"] == "K4a1")[0])
    known = {"volume": 2.0298832128, "cusp_volume": 3**0.5, "longitudinal_translation": 12**0.5, "signature": 0}
    assert {name: table[name][row] for name in known} == pytest.approx(known, rel=1e-6)
    row = int(np.flatnonzero(table["name"] == "K11n42")[0])
    assert table["hyperbolic_torsion_degree"][row] == 6
    assert table["hyperbolic_adjoint_torsion_degree"][row] == 7


@pytest.mark.parametrize(("code", "sigma", "value"), [(TREFOIL, -2, 3), (FIGURE_EIGHT, 0, 5), (CINQUEFOIL, -4, 5)])
def test_signature_of_small_knots(code, sigma, value):
    # The codes of the trefoil and of the cinquefoil have right-handed crossings alone, hence negative signatures.
    assert (signature(code), determinant(code)) == (sigma, value)


@pytest.mark.parametrize("code", [TREFOIL, FIGURE_EIGHT, CINQUEFOIL])
def test_mirror_images_have_opposite_signatures(code):
    # Crossings change when the upper strand becomes the lower one.
    mirrored = []
    for a, b, c, d in code:
        mirrored.append((d, a, b, c) if crossing_sign((a, b, c, d)) == 1 else (b, c, d, a))
    assert signature(mirrored) == -signature(code)
    assert [crossing_sign(c) for c in mirrored] == [-crossing_sign(c) for c in code]


def test_torsion_of_the_figure_eight_knot():
    # The group <a, b | wa = bw>, w = a^-1 b a b^-1, with Riley's parabolic representation.
    word, omega = "AbaB", cmath.exp(2j * cmath.pi / 3)
    relator = word + "a" + word.swapcase()[::-1] + "B"
    images = {"a": np.array([[1, 1], [0, 1]], dtype=complex), "b": np.array([[1, 0], [-omega, 1]], dtype=complex)}
    letters = lift([relator], images)
    np.testing.assert_allclose(word_image(relator, letters), np.eye(2), atol=1e-12)
    assert homology([relator], ["a", "b"]) in ({"a": 1, "b": 1}, {"a": -1, "b": -1})
    # t^2 - 4 t + 1, and a cubic: genus one.
    assert torsion_degree([relator], letters)[0] == 2
    assert torsion_degree([relator], {letter: adjoint(m) for letter, m in letters.items()})[0] == 3


def test_adjoint_is_a_representation():
    rng = np.random.default_rng(0)
    a, b = (m / np.sqrt(np.linalg.det(m)) for m in rng.normal(size=(2, 2, 2)) + 1j * rng.normal(size=(2, 2, 2)))
    np.testing.assert_allclose(adjoint(a) @ adjoint(b), adjoint(a @ b), atol=1e-12)


def test_lift_refuses_what_is_no_representation():
    with pytest.raises(ValueError, match="up to sign"):
        lift(["aa"], {"a": np.array([[0, 1], [-1, 0]], dtype=complex)})


def test_lines_of_a_build_become_columns_in_the_order_of_the_census(tmp_path):
    lines = tmp_path / "knots.csv"
    lines.write_text("name,crossings,volume,symmetry_group,signature\nK10n2,10,4.25,Z/2,-2\nK4a1,4,2.03,D4,0\n")
    table = pack(lines)
    assert table["name"].tolist() == [b"K4a1", b"K10n2"]
    assert table["volume"].dtype == np.float32
    assert table["signature"].tolist() == [0, -2]


def test_a_law_is_found_under_noise_and_the_simpler_of_two_equals_wins():
    rng = np.random.default_rng(0)
    a, b, c = rng.uniform(1, 2, (3, 500))
    noisy = 2 * a / (b**2 + c**2) * (1 + 0.05 * rng.normal(size=500))
    assert best_law({"a": a, "b": b, "c": c}, noisy).variables == {"a", "b", "c"}
    # 1000 dwarfs b, so that c and sqrt(b^2 + c^2) are the same.
    law = best_law({"b": b, "c": 1000 * c}, 3000 * c)
    assert str(law.formula) == "3.0*c"


def test_nothing_of_the_held_out_knots_is_learned_from(table):
    split = split_of(table, seed=3)
    assert len(split.x) + len(split.x_test) == len(table["name"])
    rows = np.concatenate([split.raw, split.raw_test])
    np.testing.assert_array_equal(np.sort(rows[:, 10]), np.sort(table["volume"]))
    assert split.x[:, MIRROR > 0][:, :8].mean(0) == pytest.approx(np.zeros(8), abs=1e-9)


def test_mirror_images_double_the_samples_and_keep_the_slope_odd(table):
    split = split_of(table, seed=0, size=100)
    x, sigma = split.mirrored(list(range(17)))
    assert x.shape == (200, 17)
    np.testing.assert_array_equal(sigma[100:], -sigma[:100])
    assert set(sigma) <= set(split.classes)
