"""Exact ways from a table to a smaller one, and the surrogates and neighbours that suggest them."""
