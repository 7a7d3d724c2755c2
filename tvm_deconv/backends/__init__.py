"""Kinds of device: their targets, limits, passes and compilers."""
