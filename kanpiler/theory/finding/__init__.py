"""What a theory does not say yet: formulas for unknown functions, corrections of known parts."""
