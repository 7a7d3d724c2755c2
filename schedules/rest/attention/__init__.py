"""Attention in strips of rows: ``softmax(q k^T) v`` whose scores never exist as a whole."""
