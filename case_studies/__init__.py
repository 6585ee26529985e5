"""Case studies: science with kan2, as scripts one can run.

`python -m case_studies list` names them, `python -m case_studies NAME [--full] [--seeds N] [--out DIR]` runs one.
"""

STUDIES: dict[str, str] = {
    "quickstart": "the main job end to end: compile, planets, relativistic mass, a tree",
    "constitutive_laws": "from linear elasticity to the neo-Hookean solid",
    "hidden_symmetry": "the time in which the space around a black hole is flat",
    "conserved_quantities": "all independent conserved quantities of four flows",
    "continual_learning": "five lessons one after the other, and what is left of the first",
    "lagrangians": "Lagrangians from samples of motion",
    "classification": "two moons and tumours: probabilities and formulas, beside scikit-learn",
    "compile_and_correct": "an old law, data of a new one, the correction read off",
    "auxiliary_variables": "the relativistic mass with, without and with wrong auxiliary variables",
    "modular_structures": "modules built in, and found: parity, majority, symmetries, a tree",
    "pde": "Poisson and Burgers equations solved by networks, beside MLPs",
    "interpretability": "formulas of toys, and all relations among six variables in one run",
    "toy_functions": "how fast the error falls with finer grids, beside MLPs",
    "special_functions": "fifteen special functions: accuracy against parameters, beside MLPs",
    "feynman": "147 equations of physics: human-made, pruned, unpruned, MLP, and the formulas",
    "anderson": "laws of mobility edges from eigenstates of quasiperiodic chains",
    "knots": "signatures of knots from their geometry, and the relations among invariants, on real data",
}
"""Name of each study's module, and what it does in one line."""
