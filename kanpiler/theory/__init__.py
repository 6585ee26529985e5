"""Theories: formulas with named parameters and unknown functions, fitted to tables."""
