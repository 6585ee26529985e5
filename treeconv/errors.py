"""Refusals of treeconv: each says where, what was expected, what came, and what to do.

All derive from `TreeError`, which is a `ValueError`, so code that knows nothing of treeconv can catch them too. What is
of the wrong type altogether (a class in place of a model, a list in place of a tree) is a `TypeError`.
"""


class TreeError(ValueError):
    """The parent of what treeconv raises on purpose about a bad value."""


class SampleError(TreeError):
    """Samples, names, targets, errors or outputs are not finite, not numbers, or do not fit together."""


class ExpressionError(TreeError):
    """An expression is not arithmetic in the names of the inputs."""
