"""Relations of columns and target that hold to rounding, found by linear algebra."""
