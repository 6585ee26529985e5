"""Expressions: text made into SymPy, evaluated on tensors, and numbers that people recognise. No networks.

`vocabulary` lists the names, `characters`, `words` and `tokens` cut text into tokens, `parse` reads them and executes
nothing, `limits` ends what takes too long, `evaluate` computes tensors, `reference_values` NumPy arrays to compare
with, `constants` finds the simple number behind a float.
"""
