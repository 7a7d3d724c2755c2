"""The road through Relay, the IR of TVM up to 0.19, on which vendors' toolchains stand.

``RewriteUpsampling()`` is the pass. Importing this also registers our kernels with Relay, so that
``relay.build`` takes them; ``lowering(variant)`` and ``stock()`` say otherwise for a ``with``
statement. ``tune`` measures kernels on a device, for a log in which ``relay.build`` finds them.

It raises RelayError where TVM has no Relay or was not tried. It needs no Relax, and the rest of
``tvm_deconv`` needs no Relay.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .cost_model import load_apart
from .versions import require_relay

if TYPE_CHECKING:
    from .rewrite import RewriteUpsampling, explain, rewrite_upsampling
    from .strategy import lowering, stock
    from .tuner import tune

_HOME = {
    "RewriteUpsampling": "rewrite",
    "explain": "rewrite",
    "lowering": "strategy",
    "rewrite_upsampling": "rewrite",
    "stock": "strategy",
    "tune": "tuner",
}

__all__ = ["RewriteUpsampling", "explain", "lowering", "rewrite_upsampling", "stock", "tune"]

load_apart()  # before TVM's Relay, which imports XGBoost
require_relay()
for _room in ("borders", "phases", "strategy"):
    import_module(f"{__name__}.{_room}").register()


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
