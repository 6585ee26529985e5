"""Whether a target depends on the columns: laws do, noise does not, in any unit, and searches of noise end soon."""

import numpy as np
import pytest

import kan2
from case_studies._laws import laws
from kan2.laws import dependence
from kan2.laws.dependence import depends

HARD = (
    "I.30.3",
    "I.37.4",
    "I.50.26",
    "III.8.54",
    "III.9.52",
    "B.2 Goldstein 3.55",
    "B.11 N-slit diffraction",
    "B.14 Jackson 4.60",
)


@pytest.mark.parametrize("name", HARD)
def test_laws_with_many_columns_or_periods_depend(name):
    (law,) = (law for law in laws("feynman") if law.name == name)
    for seed in range(3):
        assert depends(*law.rows(1000, seed)), seed


@pytest.mark.slow
@pytest.mark.parametrize("of", ["feynman", "feynman_si", "strogatz", "textbook"])
def test_all_laws_depend(of):
    assert [law.name for law in laws(of) if not depends(*law.rows(300, 0))] in ([], ["III.8.54"])


@pytest.mark.slow
@pytest.mark.slow
@pytest.mark.parametrize("d", [1, 3, 8])
def test_noise_does_not_depend(d):
    found = [depends(rng.random((200, d)), rng.standard_normal(200)) for rng in map(np.random.default_rng, range(20))]
    assert sum(found) <= 2


def test_units_and_outliers_do_not_matter():
    rng = np.random.default_rng(0)
    X, noise = rng.uniform(1, 2, (80, 3)), rng.standard_normal(80)
    y = X[:, 0] * X[:, 1] ** 2 + 0.3 * noise
    outlier = np.where(np.arange(80) == 7, 1e9, 0.0)
    for target, wanted in ((y, True), (noise, False)):
        scaled = depends(X * [1e9, 1e-9, 1], target * 1e-20)
        assert depends(X, target) == scaled == depends(X, target + outlier) == wanted


def test_what_goes_up_and_down_is_seen_by_neighbours_and_as_a_wave(monkeypatch):
    x = np.random.default_rng(0).random((300, 3))
    y = np.sin(60 * x[:, 1])
    ways = {way: getattr(dependence, way) for way in ("_by_neighbours", "_by_waves")}
    for way in ways:
        for other in ways:
            monkeypatch.setattr(dependence, other, ways[other] if other == way else lambda *_: False)
        assert depends(x, y)
    monkeypatch.setattr(dependence, "_by_waves", lambda *_: False)
    assert not depends(x, y)


@pytest.mark.parametrize(("n", "value"), [(2, [0.0, 1.0]), (60, 3.0)])
def test_too_few_rows_or_one_value_tell_nothing(n, value):
    X = np.random.default_rng(0).random((n, 2))
    assert not depends(X, np.broadcast_to(np.array(value), n).copy())
    assert not depends(np.ones((60, 1)), np.arange(60.0))


@pytest.mark.slow
def test_noise_trains_no_network_and_a_law_in_noise_none_either(monkeypatch):
    monkeypatch.setattr("kan2._find.search", lambda *_, **__: pytest.fail("trained a network"))
    monkeypatch.setattr("kan2.laws.formulas.UNRELATED_WORK", 0.1)
    monkeypatch.setattr("kan2.laws.formulas.NOISY_WORK", 0.1)
    rng = np.random.default_rng(0)
    X, noise = rng.uniform(1, 2, (300, 6)), rng.standard_normal(300)
    assert not kan2.discover((X, noise)).formula.free_symbols
    law = kan2.discover((X, X[:, 0] * X[:, 1] + 0.02 * noise))
    assert law.found
    assert str(law.formula) == "x1*x2"


def test_where_a_target_depends_networks_are_trained(monkeypatch):
    class Called(Exception):
        pass

    def called(*_, **__):
        raise Called

    monkeypatch.setattr("kan2._find.search", called)
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, (200, 1))
    with pytest.raises(Called):
        kan2.discover((X, np.tanh(np.sin(7 * X[:, 0]) + X[:, 0] ** 2) + 0.05 * rng.standard_normal(200)), work=0)
