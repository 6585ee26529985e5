"""Fits of theories to tables: compiled pieces, splines, least squares with conditions, what data determine."""
