"""XGBoost beside a TVM that carries its C++ library's symbols: AutoTVM's cost model.

The library of the wheel hhb-tvm 3.2.3 (TVM 0.16) exports ``std::regex`` of an older libstdc++, and
is loaded for everybody to see. XGBoost 3.2, loaded after it, takes those for its own, and the
process dies in the first ``DMatrix``. Loaded with RTLD_DEEPBIND it looks into itself first.
"""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path

from tvm_deconv.errors import TuningError


def load_apart() -> None:
    """Load XGBoost's library so that it looks for symbols in itself first.

    To be called before XGBoost is imported, which TVM's Relay does: after that it has no effect.
    """
    spec = None if "xgboost" in sys.modules else find_spec("xgboost")
    if spec is None or not hasattr(os, "RTLD_DEEPBIND"):
        return
    for folder in spec.submodule_search_locations or ():
        library = Path(folder, "lib", "libxgboost.so")
        if library.exists():
            ctypes.CDLL(str(library), mode=os.RTLD_LOCAL | os.RTLD_DEEPBIND)


def require_learner() -> None:
    """Raise TuningError where XGBoost would end this process. A child tries it first."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this process has threads: the child starts none
        child = os.fork()
    if child == 0:
        _try_and_leave()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        raise TuningError(
            "XGBoost crashes beside this TVM, because it was loaded after it: import "
            "tvm_deconv.relay before tvm.relay and tvm.autotvm"
        )


def _try_and_leave() -> None:
    try:
        import numpy as np
        import xgboost

        xgboost.DMatrix(np.zeros((2, 2), np.float32), np.zeros(2, np.float32), nthread=1)
    finally:
        os._exit(0)
