"""From a network back to a formula.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 4.3.
"""

import numpy as np
import sympy

from kan2.core.network import Network
from kan2.errors import named_options
from kan2.multkan import MultKAN
from kan2.symbolic.formula import symbolic_formula
from kanpiler.errors import CompileError
from kanpiler.theory.theory import Theory


@named_options
def decompile(network: MultKAN) -> sympy.Expr | list[sympy.Expr]:
    """Returns the formula that a symbolic network computes, in the names of its inputs.

    That of a theory has parameters by name, and f(x) where f is still unknown.

    Numbers that equal an integer, a simple fraction or a simple multiple of pi up to rounding are written exactly.

    Args:
        network: compiled, or trained and symbolified.

    Returns:
        One expression, or a list of them for several outputs.

    Raises:
        FormulaError: some edges are still splines.

    Example:
        >>> from kanpiler import compile
        >>> decompile(compile("exp(sin(pi*x) + y^2)"))
        exp(y**2 + sin(pi*x))
    """
    if not isinstance(network, Network):
        raise CompileError(f"decompile: expected a network, got {type(network).__name__}. `compile` makes one.")
    if isinstance(network, Theory):
        formulas = network.written()
        return formulas[0] if len(formulas) == 1 else formulas
    # The check of the formula looks at several boxes, in some of which it may be infinite.
    with np.errstate(invalid="ignore"):
        return symbolic_formula(network)
