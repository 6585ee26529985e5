"""Laws of one column that have a few shape numbers: decays, oscillations, peaks, saturations, corners, steps."""
