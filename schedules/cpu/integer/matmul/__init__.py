"""Products of a matrix of bytes and a constant one, or another of bytes: rows times columns."""
