"""Units of measure of a table: what they leave of its possible laws. Only `reading` knows how units are written."""
