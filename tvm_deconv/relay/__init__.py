"""The rewrite for Relay, the IR of TVM up to 0.19: ``tvm_deconv.relay.RewriteUpsampling()``.

Importing this raises RelayError where TVM has no Relay or was not tried. It needs no Relax, and the
rest of ``tvm_deconv`` needs no Relay.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .versions import require_relay

if TYPE_CHECKING:
    from .rewrite import RewriteUpsampling, explain, rewrite_upsampling

__all__ = ["RewriteUpsampling", "explain", "rewrite_upsampling"]

require_relay()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.rewrite"), name)
