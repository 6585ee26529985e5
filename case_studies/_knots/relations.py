"""Relations among the invariants of knots without a target (KAN 1.0, section 4.3, unsupervised).

A KAN [n, 1, 1] learns to tell knots from rows in which each column was shuffled by itself. It can where columns are
related, and its scores rank them. The best ranked are the *group*. The member of the group that a law of one product in
the others, and perhaps one column more, explains best is written so and set aside, and the next round begins. Rounds
end where no law explains nine tenths of the variance.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import sympy

from case_studies._knots.laws import Law, best_law
from kan2.estimators import KANClassifier

SHORT = {
    "chern_simons": "cs",
    "cusp_volume": "V_cusp",
    "hyperbolic_adjoint_torsion_degree": "deg_adj",
    "hyperbolic_torsion_degree": "deg",
    "injectivity_radius": "r",
    "longitudinal_translation": "lam",
    "meridinal_translation_imag": "mu_i",
    "meridinal_translation_real": "mu_r",
    "short_geodesic_imag_part": "g_i",
    "short_geodesic_real_part": "g_r",
    "volume": "V",
    "signature": "sigma",
}
GROUP = 5
LEAST_EXPLAINED = 0.9
ATTEMPTS = 3  # networks that may lead to no law
RELATIVE = 1e-5  # difference from a simple fraction that is rounding


@dataclass(frozen=True)
class Relation:
    """One round.

    Attributes:
        group: the columns that the network needs.
        accuracy: of the network on held-out knots and shuffled rows.
        target: the column that the others explain best.
        law: what explains it.
    """

    group: tuple[str, ...]
    accuracy: float
    target: str
    law: Law

    @property
    def text(self) -> str:
        """The law as an equation."""
        return f"{self.target} = {tidy(self.law.formula)}"

    @property
    def variables(self) -> frozenset[str]:
        """The columns in the law, the target among them."""
        return frozenset(self.law.variables | {self.target})


def tidy(formula: sympy.Expr) -> sympy.Expr:
    """Rounds the constant of a law: to a fraction where that changes nothing, else to three digits.

    Example:
        >>> x = sympy.Symbol("x")
        >>> tidy(0.5000000001 * x), tidy(0.42517 * x)
        (x/2, 0.425*x)
    """
    constant, rest = formula.as_coeff_Mul()
    value = float(constant)
    simple = Fraction(value).limit_denominator(12)
    return (sympy.Rational(simple) if abs(simple - value) < RELATIVE * abs(value) else sympy.Float(value, 3)) * rest


def relations(columns: dict[str, np.ndarray], seed: int, n: int, rounds: int) -> list[Relation]:
    """Returns the relations among columns in the order in which they were found.

    Args:
        columns: samples of each variable, by name.
        seed: of the samples drawn, the shuffling and the networks.
        n: number of knots to learn from, and as many to judge by.
        rounds: largest number of relations.
    """
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(next(iter(columns.values()))))
    left, found = {name: column[rows] for name, column in columns.items()}, []
    failures = 0
    while len(left) > 1 and len(found) < rounds and failures < ATTEMPTS:
        accuracy, scores = tell_apart(left, n, rng)
        group = sorted(left, key=lambda name: -scores[name])[:GROUP]
        laws = {target: _law_of({name: left[name][:n] for name in group}, target) for target in group}
        target = min(laws, key=lambda name: laws[name].score)
        if laws[target].error ** 2 > 1 - LEAST_EXPLAINED:
            failures += 1
            continue
        # The network may have taken one column for another that is like it.
        wider = [{name: left[name][:n] for name in [*group, other]} for other in left if other not in group]
        law = min([laws[target], *(_law_of(some, target) for some in wider)], key=lambda law: law.score)
        found.append(Relation(tuple(group), accuracy, target, law))
        failures = 0
        del left[target]
    return found


def tell_apart(columns: dict[str, np.ndarray], n: int, rng: np.random.Generator) -> tuple[float, dict[str, float]]:
    """Returns how well a KAN [n, 1, 1] tells held-out rows from shuffled ones, and the scores of the columns."""
    table = np.stack(list(columns.values()), axis=1)
    table = (table - table.mean(0)) / table.std(0)
    x, y = _beside_shuffled(table[:n], rng)
    x_test, y_test = _beside_shuffled(table[n : 2 * n], rng)
    judge = KANClassifier((1,), grid=5, steps=30, lamb=1e-3, random_state=int(rng.integers(2**31)))
    judge.fit(x, y)
    scores = judge.model_.feature_score(x).tolist()
    return float(np.mean(judge.predict(x_test) == y_test)), dict(zip(columns, scores))


def _beside_shuffled(table: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    shuffled = np.stack([rng.permutation(column) for column in table.T], axis=1)
    return np.concatenate([table, shuffled]), np.repeat([1, 0], len(table))


def _law_of(group: dict[str, np.ndarray], target: str) -> Law:
    return best_law({name: column for name, column in group.items() if name != target}, group[target])
