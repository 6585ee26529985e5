"""Formulas unrolled: straight-line programs over columns, made from the layers of a network.

`program` keeps what was made for a network as long as it serves; `layout` turns the numbers of layers into the
coefficients of a program and their gradients back; `unroll` makes the program; `tape` runs it forth and back; `steps`
are what it does, `way_back` is what they pass on going back. `kan2.core.straight_line` stands in front of it.
"""
