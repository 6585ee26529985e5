"""More inputs for a network that exists: auxiliary variables that it did not read so far.

Reference: Liu et al., KAN 2.0 (arXiv 2408.10205), section 3.1.
"""

import copy
from collections.abc import Mapping

from kan2.core.network import AnyNetwork
from kan2.edits.choose import assemble, choose
from kan2.edits.expand import add_splines
from kan2.errors import SpecError, named_options
from kan2.expressions.parse import parse_expression
from kan2.options import definitions as checked
from kan2.options import network


@named_options
def augment(model: AnyNetwork, definitions: Mapping[str, str]) -> AnyNetwork:
    """Returns the same function that also reads auxiliary variables, through splines that are zero so far.

    The network still takes the original columns, and its formula is in the original variables.

    Args:
        model: left as it is.
        definitions: for each new variable its formula in the inputs and in variables defined before it.

    Raises:
        SpecError: a name is taken already, or a name or a formula is no text.
        ExpressionError: a definition cannot be read, or uses an undeclared variable.

    Example:
        >>> from kan2 import MultKAN
        >>> augment(MultKAN([2, 1], inputs=["v", "c"]), {"beta": "v/c"}).spec.features
        ('v', 'c', 'beta')
    """
    network("augment", model, error=SpecError)
    definitions = checked("augment", definitions, error=SpecError)
    spec = model.spec
    auxiliary = spec.auxiliary
    for name, text in definitions.items():
        known = [*spec.inputs, *(taken for taken, _ in auxiliary)]
        if name in known:
            raise SpecError(f"augment: expected a new name, got {name!r}, which the network has. Choose another name.")
        parse_expression(text, names=known)
        auxiliary = (*auxiliary, (name, text))
    layers = [copy.deepcopy(layer) for layer in model.layers]
    n_in = spec.layers[0].n_in
    first = choose(layers[0], sources=[*range(n_in), *(None for _ in definitions)])
    new = range(n_in, n_in + len(definitions))
    layers[0] = add_splines(first, [(t, s) for t in range(first.spec.n_subnodes) for s in new])
    return assemble(model, layers, features=(*spec.features, *definitions), auxiliary=auxiliary)
