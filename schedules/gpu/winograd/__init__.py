"""Winograd's form of TDC on GPUs."""
