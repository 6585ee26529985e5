"""Reads networks, never trains or edits them: which edges and inputs matter, and how two networks differ."""
