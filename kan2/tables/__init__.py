"""Tables as people have them: files, frames and columns, made into named columns of numbers.

A *frame* is anything with named columns: of pandas, polars, pyarrow, xarray, a structured NumPy array, a dict of
columns, or a `Table` that `read` made of a file. Nothing here knows of networks.
"""
