"""The verbs of a network, each a one-line delegation to the module that owns it."""


class Verbs:
    """Methods of `MultKAN` that train, edit, read and show a network."""
