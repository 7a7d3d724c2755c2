"""Kernels for processors: the machine, the variants, their loop nests and spaces."""
