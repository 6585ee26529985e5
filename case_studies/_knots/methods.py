"""Ways to predict the signature of a knot: formulas, scikit-learn's classifiers, an MLP, and KANs.

A method takes a `Split` and returns signatures of its held-out knots, with a note on its size. A mirror image changes
the sign of the signature and of the quantities in `ODD`: the methods named *mirrored* learn from both images, and what
they say of a knot is the mean of what they say of its two images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from math import cos, pi

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import kan2
import kanpiler
from case_studies._knots.laws import best_law
from case_studies._perceptrons import descend, perceptron
from case_studies.knots_table import GEOMETRY, SYMMETRIES, features

CUSP = {"meridinal_translation_real": "mu_r", "meridinal_translation_imag": "mu_i", "longitudinal_translation": "lam"}
ODD = ("chern_simons", "meridinal_translation_real", "short_geodesic_imag_part")
MIRROR = np.array([-1.0 if name in ODD else 1.0 for name in (*GEOMETRY, *SYMMETRIES)])
ALL = list(range(len(MIRROR)))
# The injectivity radius is half the length of the shortest geodesic; groups of few knots say little.
NEEDED: list[int] = [i for i, name in enumerate(GEOMETRY) if name != "injectivity_radius"]
ERROR = 0.8  # of a signature from one additive unit
SPARSITY = 0.005  # without it, columns that say the same take large opposite functions
THREE = [GEOMETRY.index(name) for name in CUSP]


@dataclass(frozen=True)
class Split:
    """Knots to learn from and knots to judge by.

    Attributes:
        x, x_test: (knots, 17) features; geometry is divided by its deviation, and centred unless it is odd.
        raw, raw_test: the same as they are.
        signature, signature_test: even numbers.
        seed: of the split and of all that is random in the methods.
    """

    x: np.ndarray
    x_test: np.ndarray
    raw: np.ndarray
    raw_test: np.ndarray
    signature: np.ndarray
    signature_test: np.ndarray
    seed: int

    @property
    def classes(self) -> np.ndarray:
        """All signatures between the extremes, which are taken symmetric."""
        largest = np.abs(self.signature).max()
        return np.arange(-largest, largest + 1, 2)

    def cusp(self, test: bool = False) -> dict[str, np.ndarray]:
        """Returns the three translations of the cusp, by short name."""
        raw = self.raw_test if test else self.raw
        return {short: raw[:, i] for short, i in zip(CUSP.values(), THREE)}

    def mirrored(self, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """Returns the features and signatures of the knots, and then of their mirror images."""
        x = self.x[:, columns]
        return np.concatenate([x, x * MIRROR[columns]]), np.concatenate([self.signature, -self.signature])

    def both_images(self, columns: list[int], log_probability: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Returns the signatures that a classifier of all `classes` finds likeliest for the held-out knots."""
        x = self.x_test[:, columns]
        return self.classes[(log_probability(x) + log_probability(x * MIRROR[columns])[:, ::-1]).argmax(1)]


@dataclass(frozen=True)
class Answer:
    """What a method says of the held-out knots; a note; the network, if there is one."""

    signature: np.ndarray
    note: str = ""
    model: kan2.MultKAN | None = None


def split_of(table: dict[str, np.ndarray], seed: int, size: int | None = None) -> Split:
    """Returns a random split: a fifth is held out, and all others are there to learn from, or `size` of them."""
    raw, _ = features(table)
    order = np.random.default_rng(seed).permutation(len(raw))
    test, train = order[: len(raw) // 5], order[len(raw) // 5 :][:size]
    mean, deviation = raw[train].mean(0), raw[train].std(0)
    mean[MIRROR < 0] = 0
    # Groups of a handful of knots would become huge.
    mean[len(GEOMETRY) :], deviation[len(GEOMETRY) :] = 0, 1
    x, sigma = (raw - mean) / deviation, table["signature"]
    return Split(x[train], x[test], raw[train], raw[test], sigma[train], sigma[test], seed)


def even(values: np.ndarray) -> np.ndarray:
    """Rounds to even numbers."""
    return 2 * np.round(values / 2)


def majority(split: Split) -> Answer:
    """The most frequent signature."""
    values, counts = np.unique(split.signature, return_counts=True)
    return Answer(np.full(len(split.x_test), values[counts.argmax()]))


def slope(split: Split, fitted: bool) -> Answer:
    """The slope lambda mu_r / |mu|^2, times 1/2 or times what fits best, rounded to even numbers."""
    s, s_test = (c["lam"] * c["mu_r"] / (c["mu_r"] ** 2 + c["mu_i"] ** 2) for c in (split.cusp(), split.cusp(True)))
    factor = float(s @ split.signature / (s @ s)) if fitted else 0.5
    return Answer(even(factor * s_test), f"{factor:.3f} slope")


def logistic(split: Split, columns: list[int]) -> Answer:
    """Multinomial logistic regression."""
    model = LogisticRegression(max_iter=1000).fit(split.x[:, columns], split.signature)
    return Answer(model.predict(split.x_test[:, columns]))


def boosting(split: Split, columns: list[int]) -> Answer:
    """Gradient boosting with settings that suit classes of few samples, mirrored."""
    model = HistGradientBoostingClassifier(
        learning_rate=0.08,
        max_iter=150,
        max_leaf_nodes=31,
        min_samples_leaf=40,
        l2_regularization=10,
        early_stopping=False,  # pyright: ignore[reportArgumentType]
        random_state=split.seed,
    ).fit(*split.mirrored(columns))
    seen = np.searchsorted(split.classes, model.classes_)

    def log_probability(x: np.ndarray) -> np.ndarray:
        result = np.full((len(x), len(split.classes)), -30.0)
        result[:, seen] = np.log(np.maximum(model.predict_proba(x), 1e-12))
        return result

    return Answer(split.both_images(columns, log_probability))


def mlp(split: Split, columns: list[int], steps: int) -> Answer:
    """An MLP of four hidden layers of width 300, SiLU, by Adam with a cosine schedule, mirrored."""
    x, labels = (torch.tensor(a) for a in _labelled(split, columns))
    x, labels = x.float(), labels.long()
    net = perceptron([len(columns), 300, 300, 300, 300, len(split.classes)], nn.SiLU, split.seed).float()
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(split.seed)
    for _ in range(steps):
        rows = torch.randint(len(x), (256,), generator=generator)
        descend(optimizer, lambda rows=rows: cross_entropy(net(x[rows]), labels[rows]))
        schedule.step()

    @torch.no_grad()
    def log_probability(x: np.ndarray) -> np.ndarray:
        return net(torch.tensor(x).float()).log_softmax(1).numpy()

    n = sum(p.numel() for p in net.parameters())
    return Answer(split.both_images(columns, log_probability), f"{n:,} parameters")


def kan(split: Split, columns: list[int], hidden: list[int | list[int]], steps: int) -> Answer:
    """A KAN classifier by Adam with a cosine schedule, mirrored."""
    x, labels = _labelled(split, columns)
    model = kan2.MultKAN([len(columns), *hidden, len(split.classes)], grid=5, seed=split.seed)
    # Grids follow the activations for a few steps, and then stay.
    model.fit((x, labels), "Adam", 100, lr=2e-2, batch=256, loss="cross_entropy", seed=split.seed)
    _descend(model, x, labels, steps, split.seed, rate=2e-2)
    return Answer(split.both_images(columns, partial(_log_probability, model)), _size(model), model)


def additive_kan(split: Split, columns: list[int], steps: int, start: int) -> Answer:
    """The paper's network [n, 1, classes]; at the start it fits the logits of a normal error for a few knots."""
    x, sigma = split.x[:, columns], split.signature
    classes = np.unique(sigma)
    logits = (np.outer(sigma, classes) - classes**2 / 2) / ERROR**2
    model = kan2.MultKAN([len(columns), 1, len(classes)], grid=3, seed=split.seed)
    model.fit((x[:start], logits[:start]), steps=30)
    _descend(model, x, np.searchsorted(classes, sigma).astype(float), steps, split.seed, rate=5e-3)
    found = classes[_log_probability(model, split.x_test[:, columns]).argmax(1)]
    return Answer(found, _size(model), model)


def attribution(split: Split) -> np.ndarray:
    """Returns the attribution scores of the geometric features in the regression [11, 1, 1] on the signature."""
    x, sigma = split.x[:, : len(GEOMETRY)], split.signature
    model = kan2.MultKAN([len(GEOMETRY), 1, 1], grid=3, seed=split.seed)
    model.fit((x, sigma), steps=30, lamb=SPARSITY)
    return model.feature_score().numpy()


def formula(split: Split) -> Answer:
    """The best law of one product in three variables, compiled into a network, rounded to even numbers."""
    columns, names = split.cusp(), list(CUSP.values())
    law = best_law(columns, split.signature)
    model = kanpiler.compile(law.formula, inputs=names)
    # The constant of least squares is not quite the one that rounds most knots to their signature.
    values = model.predict(np.stack(list(columns.values()), 1))[:, 0]
    factors = np.linspace(0.9, 1.1, 81)
    right = [float(np.mean(even(factor * values) == split.signature)) for factor in factors]
    model = kanpiler.compile(float(factors[int(np.argmax(right))]) * law.formula, inputs=names)
    values = model.predict(np.stack(list(split.cusp(test=True).values()), 1))[:, 0]
    return Answer(even(values), str(model.symbolic_formula(digits=3)), model)


def _labelled(split: Split, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
    x, signature = split.mirrored(columns)
    return x, np.searchsorted(split.classes, signature).astype(float)


def _descend(model: kan2.MultKAN, x: np.ndarray, labels: np.ndarray, steps: int, seed: int, rate: float) -> None:
    # Cross-entropy by Adam; the rate falls like a cosine, and grids stay.
    model.fit(
        (x, labels),
        "Adam",
        steps,
        lr=lambda i: rate * (1 + cos(pi * i / steps)) / 2 + 1e-5,
        batch=256,
        loss="cross_entropy",
        seed=seed,
        update_grid=False,
    )


def _log_probability(model: kan2.MultKAN, x: np.ndarray) -> np.ndarray:
    logits: Tensor = model(torch.tensor(x)).detach()
    return logits.log_softmax(1).numpy()


def _size(model: kan2.MultKAN) -> str:
    return f"{model.n_parameters:,} parameters"
