"""Training: Levenberg-Marquardt where the loss is a sum of squares, LBFGS and Adam for the rest."""

from kan2.training.fit import fit as fit
from kan2.training.history import History as History
