"""The objective of small networks of splines in flat arrays: `evaluator` its values, `equations` those of its steps."""
