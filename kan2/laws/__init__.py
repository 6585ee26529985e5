"""From a table to a law: linear algebra first, then symmetries of a surrogate, exact reduction, and again.

A *law* is an expression that gives the target at every row to rounding. The search never fits an expression to values
of a network: networks only suggest how the table could be reduced, the reduction itself is exact.
"""
