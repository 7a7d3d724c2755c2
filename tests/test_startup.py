"""Processes of our own do without PyTorch."""

import os
import subprocess
import sys

CODE = """
import sys
from tvm_deconv.startup import without_torch
without_torch()
import tvm
assert "torch" not in sys.modules, "others ask whether it is there before they import it"
try:
    import torch
except ImportError as error:
    print(error)
"""


def test_a_process_of_our_own_imports_tvm_without_pytorch():
    pytest_only = {"PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**os.environ, **pytest_only},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "this process does without PyTorch\n"
