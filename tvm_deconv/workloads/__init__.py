"""Named layers and networks from the literature: one list for tests, benchmark and tuning.

Weights are random but always the same; nothing here needs TVM. What a layer is (``spec``) needs no
ONNX either, so that it can be told where there is none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .networks import NETWORKS
    from .select import ALL, GROUPS, LAYERS, find
    from .spec import LayerSpec
    from .workload import Workload

__all__ = ["ALL", "GROUPS", "LAYERS", "NETWORKS", "LayerSpec", "Workload", "find"]

_HOME = {"NETWORKS": "networks", "LayerSpec": "spec", "Workload": "workload"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'select')}"), name)
