"""From one edge to one function, and from a network to its formula.

`candidates`, `polish` and `curves` fit functions of the table to curves; `suggest` ranks them for an edge, `fix` puts
one there; `gauge` and `snap` make the numbers of a symbolic network unique and exact; `formula` writes it down.
"""
