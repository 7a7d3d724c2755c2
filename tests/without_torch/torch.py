"""Stands before PyTorch on the path of processes that do without it: see ``conftest``."""

raise ModuleNotFoundError("processes that tests start do without PyTorch", name="torch")
