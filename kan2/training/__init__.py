"""Training: Levenberg-Marquardt for squares, cross-entropy and other smooth losses; LBFGS and Adam beside it."""

from kan2.training.fit import fit as fit
from kan2.training.history import History as History
