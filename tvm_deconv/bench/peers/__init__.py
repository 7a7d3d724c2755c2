"""One module for each runtime that we compare with; each has a ``worker.Loader`` called ``load``.

A peer runs in an environment where tvm_deconv is not installed, so these modules import only the
standard library, NumPy, each other (relatively) and what ``environments.py`` lists for them.
"""
