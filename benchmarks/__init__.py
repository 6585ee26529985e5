"""Comparisons with other packages, side by side in one process; `make bench` writes them to docs/results.md."""
