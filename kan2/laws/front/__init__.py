"""Candidates for a law, their numbers fitted together, and the front of the simplest and most accurate."""
