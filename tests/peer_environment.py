"""The interpreter that a peer of the benchmark runs in, where there is one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from paths import ROOT

from tvm_deconv.bench import defaults, environments

FOLDER = ROOT / defaults.PEER_ROOT


def interpreter_of(peer: str) -> Path:
    """Skips the test where the peer is not installed."""
    if peer == "onnxruntime":
        return Path(sys.executable)
    if not environments.is_installed(peer, FOLDER):
        pytest.skip(f"{peer} has no environment in {FOLDER}: `tvm-deconv bench` makes it")
    return environments.python_of(peer, FOLDER)
