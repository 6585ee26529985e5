"""The table of symbolic functions: one row a function, for torch, SymPy, search, domains and pictures alike.

`names()` lists the table, `get(name)` returns a row, `register(SymbolicFunction(...))` adds one of your own, and
`smooth(value, derivative)` makes a differentiable tensor function of a NumPy function for it.
"""

from kan2.functions.special import ROWS as _SPECIAL
from kan2.functions.special import smooth as smooth
from kan2.functions.table import BUILT_IN as _ELEMENTARY
from kan2.functions.table import DEFAULT_LIBRARY as DEFAULT_LIBRARY
from kan2.functions.table import FREE as FREE
from kan2.functions.table import SymbolicFunction as SymbolicFunction
from kan2.functions.table import get as get
from kan2.functions.table import inner_point as inner_point
from kan2.functions.table import names as names
from kan2.functions.table import register as register
from kan2.functions.table import revision as revision

BUILT_IN: dict[str, SymbolicFunction] = {**_ELEMENTARY, **_SPECIAL}
"""The rows that the package brings, by name."""
