"""scikit-learn estimators: KANs in pipelines, grid searches and cross-validation, with column names kept.

Reference: https://scikit-learn.org/stable/developers/develop.html
"""

from kan2.estimators.classifier import KANClassifier as KANClassifier
from kan2.estimators.regressor import KANRegressor as KANRegressor
