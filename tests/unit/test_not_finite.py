"""Verbs that read activations, on samples of which a few are not finite: these are left out, and that is said."""

import pytest
import torch

import kanpiler
from kan2 import MultKAN, sample_function
from kan2.errors import DataError, DataWarning

DATA = sample_function("x + y**2", {"x": (-1, 1), "y": (-1, 1)}, n=40)
BAD = DATA.X.clone()
BAD[3, 0], BAD[7, 1] = float("nan"), float("inf")
READERS = {
    "attribute": lambda m, d: m.attribute(d).nodes[0],
    "feature_score": lambda m, d: m.feature_score(d),
    "plot": lambda m, d: torch.zeros(int(m.plot(d) is None)),
    "plot_edge": lambda m, d: torch.zeros(int(m.plot_edge((0, 0, 0), d) is None)),
    "plot_scores": lambda m, d: torch.zeros(int(m.plot_scores(d) is None)),
    "get_fun": lambda m, d: torch.tensor(m.get_fun((0, 0, 0), d)[1]),
    "get_range": lambda m, d: torch.tensor(m.get_range((0, 0, 0), d)),
    "feature_interaction": lambda m, d: m.feature_interaction(d),
    "suggest_symbolic": lambda m, d: torch.tensor(m.suggest_symbolic((0, 0, 0), d)[0].r2),
}


@pytest.fixture(scope="module")
def model():
    model = MultKAN([2, 2, 1], grid=3)
    model.fit(DATA, steps=10)
    return model.perturb(mode="all")


@pytest.mark.parametrize("verb", READERS)
@pytest.mark.parametrize("form", [lambda x: x, lambda x: (x, DATA.y), lambda x: {"train_input": x.numpy(),
                                  "train_label": DATA.y}], ids=["X", "pair", "dict"])  # fmt: skip
def test_samples_that_are_not_finite_are_left_out_with_one_warning(verb, form, model):
    kept = torch.isfinite(BAD).all(1)
    with pytest.warns(DataWarning, match="ignored 2 of 40 samples, which hold nan or infinity") as caught:
        found = READERS[verb](model, form(BAD))
    assert len(caught) == 1
    assert caught[0].filename == __file__
    torch.testing.assert_close(found, READERS[verb](model, BAD[kept]))


@pytest.mark.parametrize("verb", READERS)
def test_no_finite_sample_is_refused(verb, model):
    with pytest.raises(DataError, match="all 40 samples"):
        READERS[verb](model, torch.full_like(BAD, float("nan")))


@pytest.mark.parametrize("verb", ["attribute", "plot", "get_range"])
def test_activations_outside_the_domain_of_an_edge_are_left_out(verb):
    logarithm = kanpiler.compile("log(x) + y").perturb(mode="all")
    with pytest.warns(DataWarning, match="on which some activation is nan or infinity") as caught:
        READERS[verb](logarithm, DATA.X)
    assert len(caught) == 1
    with pytest.raises(DataError, match="outside its domain"):
        READERS[verb](logarithm, -DATA.X.abs() - 1)


def test_training_still_refuses_them(model):
    with pytest.raises(DataError, match="row 3"):
        MultKAN([2, 1]).fit((BAD, DATA.y))
