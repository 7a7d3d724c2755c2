"""The mathematics: geometry, weights, index maps and Cook-Toom matrices, in NumPy only."""
