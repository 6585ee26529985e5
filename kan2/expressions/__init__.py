"""Expressions: text made into SymPy, evaluated on tensors, and numbers that people recognise. No networks.

`vocabulary` lists the names, `parse` reads text and executes nothing of it, `evaluate` computes tensors,
`reference_values` NumPy arrays to compare with, `constants` finds the simple number behind a float.
"""
