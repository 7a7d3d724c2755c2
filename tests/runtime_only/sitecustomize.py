"""For processes of tests: what is not carried to a machine with a GPU cannot be imported here."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder


class _NotCarried(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "onnx" or name.startswith("tvm_deconv.schedules"):
            raise ModuleNotFoundError(f"{name} is not on the machine with the GPU", name=name)
        return None


sys.meta_path.insert(0, _NotCarried())
