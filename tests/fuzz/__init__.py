"""A generator of random graphs that compares what we compile with somebody else's result.

``make fuzz ARGS="--cases 10000"`` runs it, ``tests/test_fuzz.py`` a few hundred cases of it. A case
is a family and the choices that were drawn for it (``choices``); a family makes of them something
to compile and what it has to give (``families``); a worker process runs it (``worker``) and
survives for the next one or is replaced (``pool``); a case that fails is made smaller by making its
choices smaller (``shrink``). The references are ONNX Runtime, onnx.reference, eager PyTorch and
float64 NumPy.
"""
