"""Convolutions of bytes behind a nearest resize, by the products of the kernel behind it."""
