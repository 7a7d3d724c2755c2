"""Products of a matrix of bytes and a constant one: rows of x times columns of weights."""
