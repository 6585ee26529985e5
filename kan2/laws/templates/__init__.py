"""Templates: formulas with unknown functions, such as f(a, b)*exp(g(c)), and what these functions are."""
