"""Explicit matrices in formulas, of which an element is taken: Matrix([[a, b], [c, d]])[0, 1] is b.

Reference: https://docs.sympy.org/latest/modules/matrices/dense.html
"""

from collections.abc import Sequence
from typing import Any

import sympy


def matrix(rows: Any) -> Any:
    """Builds a column of values, or a matrix of rows.

    Raises:
        ValueError: this is no list, an empty one, or rows differ in length.

    Example:
        >>> x, y = sympy.symbols("x y")
        >>> matrix([x, y]).shape, matrix([[x, y]]).shape
        ((2, 1), (1, 2))
    """
    if not isinstance(rows, list):
        raise ValueError(f"expected a list in Matrix, as in Matrix([x, y]), got {rows}")
    lists = [row if isinstance(row, list) else [row] for row in rows]
    if len({isinstance(row, list) for row in rows}) > 1 or len(set(map(len, lists))) > 1 or not lists or not lists[0]:
        raise ValueError("expected values, or rows of one length, in Matrix, as in Matrix([[a, b], [c, d]])")
    if any(isinstance(value, list) for row in lists for value in row):
        raise ValueError("expected values in the rows of Matrix, got lists")
    return sympy.Matrix(lists)


def element(values: Any, index: Sequence[Any], counted: Sequence[sympy.Symbol]) -> Any:
    """Takes one element, row by row where there is one index.

    Args:
        values: the matrix.
        index: one whole number, or two; negative ones count from the end.
        counted: variables of sums around, which run over whole numbers.

    Raises:
        ValueError: an index is no whole number, or the matrix has no such element.

    Example:
        >>> element(sympy.Matrix([[1, 2], [3, 4]]), [sympy.Integer(2)], [])
        3
    """
    n_rows, n_columns = values.shape
    for i in index:
        is_counted = isinstance(i, sympy.Expr) and i.free_symbols and i.free_symbols <= {*counted}
        if len(index) > 2 or not (getattr(i, "is_Integer", False) or is_counted):
            raise ValueError(f"expected a whole number as index of a matrix, or two, got {', '.join(map(str, index))}")
    if len(index) == 1 and not index[0].is_Integer and 1 not in (n_rows, n_columns):
        raise ValueError(f"expected a row and a column as index of a matrix with {n_rows} rows, got {index[0]}")
    if len(index) == 1 and not index[0].is_Integer:
        # SymPy wants both, where the index is no number yet.
        index = (index[0], sympy.S.Zero) if n_columns == 1 else (sympy.S.Zero, index[0])
    try:
        return values[tuple(index) if len(index) == 2 else int(index[0])]
    except IndexError:
        wanted = _counted(len(values), "element")
        if len(index) == 2:
            wanted = f"{_counted(n_rows, 'row')} and {_counted(n_columns, 'column')}"
        raise ValueError(f"expected an index within {wanted}, got {', '.join(map(str, index))}") from None


def _counted(n: int, word: str) -> str:
    return f"{n} {word}{'s' * (n != 1)}"
