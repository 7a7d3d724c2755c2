"""The language of expressions under one name: ``tvm.tirx``, or ``tvm.tir`` before TVM 0.20."""

from __future__ import annotations

try:
    from tvm import tirx as tir
except ImportError:
    from tvm import tir

__all__ = ["tir"]
