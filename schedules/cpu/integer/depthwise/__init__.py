"""Convolutions of bytes whose outputs read one input channel each, from bytes as they lie."""
