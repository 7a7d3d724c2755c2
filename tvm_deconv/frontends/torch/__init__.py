"""``torch.export`` programs. Imports PyTorch: only for who has a program in hands."""

from .program import from_exported_program
from .read import read_program

__all__ = ["from_exported_program", "read_program"]
