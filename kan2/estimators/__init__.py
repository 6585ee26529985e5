"""scikit-learn estimators: KANs and formulas in pipelines, grid searches and cross-validation, with column names kept.

Reference: https://scikit-learn.org/stable/developers/develop.html
"""

from kan2.estimators.classifier import KANClassifier as KANClassifier
from kan2.estimators.formula_classifier import KANFormulaClassifier as KANFormulaClassifier
from kan2.estimators.formula_regressor import KANFormulaRegressor as KANFormulaRegressor
from kan2.estimators.regressor import KANRegressor as KANRegressor
