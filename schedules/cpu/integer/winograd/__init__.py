"""Convolutions of bytes by Winograd's F(2x2, 2x2), in which integers stay integers."""
