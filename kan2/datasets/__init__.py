"""Small data sets that come with kan2: published measurements with source, units and accepted law, and formulas.

`names()` lists them, `describe(name)` tells what one is, `load(name)` makes a `Dataset` of it, `table(name)` the whole
table of one that was measured.
"""

from kan2.datasets.catalogue import Description as Description
from kan2.datasets.catalogue import describe as describe
from kan2.datasets.catalogue import load as load
from kan2.datasets.catalogue import names as names
from kan2.datasets.catalogue import table as table

__all__ = ["Description", "describe", "load", "names", "table"]
