"""Decides by training and editing: what matters, how small a network may be, which functions its edges are.

`relevance` and `hypothesis` answer questions; `prune` finds the smallest network that still fits; `symbolify` replaces
its splines by functions, with `_compose` and `_reroute` as its moves; `pareto` keeps all that was tried.
"""
