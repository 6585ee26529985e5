"""Laws in noisy tables: reductions judged by rows left out, small dictionaries, and a ranking of all that fits."""
