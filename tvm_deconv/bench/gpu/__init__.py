"""The GPU benchmark: kernels compiled where TVM is, measured where the card is.

``pack`` compiles, with ``job``, ``kernel``, ``integer`` and ``points``. ``run`` measures: it starts
``worker``, which needs TVM's runtime, NumPy and PyTorch, and of this package neither schedules nor
compilers. Between the two is a folder of libraries and what ``manifest`` says of it.
"""
