"""Which of many columns matter: the most important ones of a forest of trees.

A forest tells which columns the target depends on, not how. The smaller table is tried as it is; whether it has all
that matters shows in its law.

Reference: Geurts, Ernst, Wehenkel, Extremely randomized trees, Machine Learning 63 (2006).
"""

import numpy as np
import sympy

from kan2.laws.budget import spend
from kan2.laws.column import Table
from kan2.laws.reductions.reduction import Reduction
from kan2.laws.reductions.single import is_function

MANY = 12  # columns from which on some are left out; with fewer the networks see for themselves
MOST = 6  # columns that are kept at most
TREES, LEAF = 200, 3
DOUBT = 0.06  # more than that of a sure reduction


def relevant_reductions(table: Table) -> list[Reduction]:
    """Returns the tables of the one, two, ... columns that matter most, where there are many columns."""
    if table.n_columns < MANY or len(table) < 2 * MANY:
        return []
    from sklearn.ensemble import ExtraTreesRegressor

    spend(len(table), TREES)
    ranks = np.argsort(np.argsort(table.X, 0, kind="stable"), 0, kind="stable")
    target = np.argsort(np.argsort(table.y, kind="stable"), kind="stable")
    forest = ExtraTreesRegressor(TREES, min_samples_leaf=LEAF, random_state=0).fit(ranks, target)
    order = [int(i) for i in np.argsort(-forest.feature_importances_, kind="stable")]
    found = []
    for n in range(1, MOST + 1):
        smaller = table.of(sorted(order[:n]))
        if is_function(smaller):
            names = ", ".join(str(column.expression) for column in smaller.columns)
            share = float(forest.feature_importances_[order[:n]].sum())
            told = f"of {table.n_columns} columns {names} matter most: {share:.0%} of the importance in a forest"
            found.append(Reduction(DOUBT + 0.001 * n, smaller, sympy.Integer(1), told))
    return found
