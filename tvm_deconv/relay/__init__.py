"""The road through Relay, for TVM up to 0.19 and the vendors' toolchains that stand on it.

Importing this registers our kernels with Relay: see ``strategy``.
"""

from __future__ import annotations

from . import phases, strategy

lowering, stock = strategy.lowering, strategy.stock

__all__ = ["lowering", "stock"]

phases.register()
strategy.register()
