"""Tables as people have them: files, frames and columns, made into named columns of numbers.

`read` makes a `Table` of a file or a frame. A *frame* is anything with named columns: of pandas, polars, pyarrow,
xarray, a structured NumPy array, a dict of columns, or a `Table`. Nothing here knows of networks.
"""

from kan2.tables.read import read as read
from kan2.tables.table import Table as Table

__all__ = ["Table", "read"]
