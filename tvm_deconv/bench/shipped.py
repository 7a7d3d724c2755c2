"""What a user ships, where nothing was compiled: ``python -m tvm_deconv.bench.shipped``.

The command line compiles the library, TVM's runtime loads it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import tvm

from tvm_deconv.threads import use_threads

from .ours import AUTO, arrays, bound_call, pool_notes
from .worker import Inputs, Loaded, Outputs, serve


def load(model: str, inputs: Inputs, _outputs: Outputs, threads: int) -> Loaded:
    """Raises ValueError where the command line does not compile it."""
    pool = use_threads(threads)
    with TemporaryDirectory() as folder:
        library = str(Path(folder, "network.so"))
        words = ["compile", model, "--output", library, "--threads", str(threads)]
        done = subprocess.run(
            [sys.executable, "-m", "tvm_deconv", *words],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ValueError(done.stderr.strip())
        call = bound_call(tvm.runtime.load_module(library), inputs)
    return call, arrays, tvm.__version__, pool_notes(pool, threads)


if __name__ == "__main__":
    serve({AUTO: load}, AUTO)
