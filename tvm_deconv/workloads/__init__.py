"""Named layers and networks from the literature: one list for tests, benchmark and tuning.

Weights are random but always the same; nothing here needs TVM.
"""

from .networks import NETWORKS
from .select import ALL, GROUPS, LAYERS, find
from .spec import LayerSpec
from .workload import Workload

__all__ = ["ALL", "GROUPS", "LAYERS", "NETWORKS", "LayerSpec", "Workload", "find"]
