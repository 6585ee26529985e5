"""Laws of two classes: formulas of the logit, the logarithm of the odds."""
