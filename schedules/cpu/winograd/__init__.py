"""Winograd's form of TDC on processors."""
