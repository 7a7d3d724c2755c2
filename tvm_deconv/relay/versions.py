"""Which versions of TVM the Relay road was made for."""

from __future__ import annotations

import re
from importlib.util import find_spec

import tvm

from tvm_deconv.errors import RelayError

# The minor versions 0.x that are known to have what this package asks of Relay.
_FIRST, _LAST = 16, 19


def require_relay() -> None:
    """RelayError unless the TVM that is installed has Relay and is of a version that was tried."""
    refuse(str(tvm.__version__), find_spec("tvm.relay") is not None)


def refuse(version: str, has_relay: bool) -> None:
    """RelayError for a TVM that calls itself ``version``, such as ``0.16.dev0``."""
    asked = f"tvm_deconv.relay is for TVM 0.{_FIRST} to 0.{_LAST}"
    if not has_relay:
        raise RelayError(
            f"TVM {version} has no Relay: {asked}; "
            "with a later one use tvm_deconv.transform.RewriteUpsampling on Relax"
        )
    found = re.match(r"0\.(\d+)\b", version)
    if found is None or not _FIRST <= int(found[1]) <= _LAST:
        raise RelayError(f"TVM {version} was not tried: {asked}; install one of these")
