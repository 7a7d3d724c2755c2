"""Architectures that people export, through every exporter of PyTorch: ``make exports``."""
