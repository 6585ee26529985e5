"""What a network is, and how it is evaluated.

`spec` says what there is, frozen; `layer` and `network` hold the numbers. Below them: `bases` and `edges`, with the
kernels that edges run on; beside them: `data` and `features`, `jets` (derivatives), `trace` (what happened inside),
`straight_line` (small formulas unrolled, by what is in `unrolled`), `conv`, `linalg`. Above them, with SymPy: `samples`
of formulas, and `definitions` of auxiliary variables, which `features` imports for networks that have some.
"""
