"""Stands before PyTorch on the path of processes that do without it: see ``conftest``.

TVM asks for it first of all; what else it does in vain is left out from here on, too.
"""

import sys

# As in tvm_deconv/startup.py, which most of these processes do not import.
sys.modules.setdefault("tvm.runtime.disco", None)

raise ModuleNotFoundError("processes that tests start do without PyTorch", name="torch")
