"""What the benchmark does unless told otherwise, for the library and the command line alike.

Apart from ``benchmark.py``, which takes seconds to import: the command line also starts for others.
"""

from __future__ import annotations

from pathlib import Path

WORKLOADS = ("design", "networks")
"""Groups of ``tvm_deconv.workloads``."""

TRIALS = 64
"""Of MetaSchedule for each kernel of the tuned baseline."""

LIMIT_S = 20
"""Seconds of measuring for each workload."""

OUT = Path("build/bench.json")
"""The result file."""

PEER_ROOT = Path("build/peers")
"""The folder of the peers' environments."""
