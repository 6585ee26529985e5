"""Small data sets that come with kan2: published measurements with source, units and accepted law, and formulas.

`names()` lists them, `describe(name)` tells what one is, `load(name)` makes a `Dataset` of it, `table(name)` the whole
table of one that was measured. `nist(name)` gives a problem of nonlinear regression with starts and certified values.
"""

from kan2.datasets.catalogue import describe as describe
from kan2.datasets.catalogue import load as load
from kan2.datasets.catalogue import names as names
from kan2.datasets.catalogue import table as table
from kan2.datasets.description import Description as Description
from kan2.datasets.nist import NistProblem as NistProblem
from kan2.datasets.nist import nist as nist
from kan2.datasets.nist import nist_names as nist_names

__all__ = ["Description", "NistProblem", "describe", "load", "names", "nist", "nist_names", "table"]
