"""Check and time the kernels of a pack on an NVIDIA GPU, against PyTorch and the card's bounds.

    make gpu-bench                      # or: python scripts/gpu_bench.py --pack build/gpu

It needs TVM's runtime, NumPy, and PyTorch for the peers; neither TVM's compiler nor CUDA's. Results
are written after each layer to `gpu-float32.json` and so on in `--out`, from which
`tvm-deconv bench --from` prints and plots, too; a run goes on where the last one ended. Times are
CUDA events around replayed CUDA graphs, over buffers larger than the last cache. `--device cpu`
rehearses everything on the processor, with a pack for `host`: its times say nothing about a GPU.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tvm_deconv.bench.figures import MEASURED, NOT_SUPPORTED, OURS
from tvm_deconv.errors import BenchError
from tvm_deconv.files import write_json

from . import manifest as packed
from .device import LAYER
from .table import render
from .worker import (
    DEAD,
    INTERRUPTED,
    NO_GPU,
    TRYING,
    Options,
    read,
    result_path,
    start,
)

OUT = Path("build")
PACK = Path("build/gpu")
# Kernels that take the process down, until the run gives up.
_MOST_DEAD = 20
_FAILED = 1


def bench(options: Options) -> int:
    """Run processes until everything is measured; the exit status of the last one.

    Raises BenchError for a pack that cannot be read, and one for another device.
    """
    manifest = packed.read(options.pack)
    if (manifest["arch"] == "host") != (options.device == "cpu"):
        raise BenchError(f"{options.pack} is for {manifest['arch']}, not for {options.device}")
    unknown = [name for name in options.workloads if name not in manifest["layers"]]
    if unknown:
        raise BenchError(f"{options.pack} has no layer {unknown[0]!r}: pack it")
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    env = {
        **os.environ,
        # TVM would compile an extension when PyTorch is there, which nothing here uses.
        "TVM_FFI_DISABLE_TORCH_C_DLPACK": "1",
        "NVIDIA_TF32_OVERRIDE": "0",
        "PYTHONUNBUFFERED": "1",
    }
    for _ in range(_MOST_DEAD):
        (out / TRYING).unlink(missing_ok=True)
        status = subprocess.run(start(options), env=env).returncode
        trying = read(out / TRYING)
        if status in (0, NO_GPU, INTERRUPTED) or not trying:
            return status
        dead = {"reason": f"it ended the process with status {status}", **trying}
        if status == _FAILED:
            # An exception of Python: no contestant's fault, for those are caught.
            dead |= {"who": LAYER, "reason": "the traceback is above"}
        print(f"{_words(dead)}", flush=True)
        write_json(out / DEAD, [*(read(out / DEAD) or []), dead])
    return _FAILED


def _words(dead: dict[str, Any]) -> str:
    return f"{dead['layer']} {dead['dtype']}: {dead['who']}: {dead['reason']}"


def wrong(results: dict[str, Any]) -> list[str]:
    """Kernels of ours that were built and not measured, with their reason."""
    return [
        f"{layer}: {name}: {record['status']}: {record['reason']}"
        for layer, workload in results["workloads"].items()
        for name, record in workload["contestants"].items()
        if results["roles"][name] == OURS and record["status"] not in (MEASURED, NOT_SUPPORTED)
    ]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--pack", default=PACK, metavar="DIR", help="default: %(default)s")
    made.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    made.add_argument("--workloads", nargs="+", default=(), metavar="NAME", help="default: all")
    made.add_argument("--dtypes", nargs="+", default=Options.dtypes, choices=Options.dtypes)
    made.add_argument("--limit", type=float, default=Options.limit_s, metavar="S")
    made.add_argument("--no-peers", action="store_true", help="leave PyTorch out")
    made.add_argument("--compile", action="store_true", help="torch.compile, too: slow to start")
    made.add_argument("--seed", type=int, default=0, help="of inputs and weights")
    made.add_argument("--out", default=OUT, metavar="DIR", help="default: %(default)s")
    made.add_argument("--again", action="store_true", help="forget what was measured before")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    given = parser().parse_args(arguments)
    options = Options(
        pack=str(given.pack),
        out=str(given.out),
        device=given.device,
        dtypes=tuple(given.dtypes),
        workloads=tuple(given.workloads),
        limit_s=given.limit,
        peers=not given.no_peers,
        compiled=given.compile,
        seed=given.seed,
    )
    paths = [result_path(options.out, dtype) for dtype in options.dtypes]
    if given.again:
        for path in (*paths, Path(options.out) / DEAD):
            path.unlink(missing_ok=True)
    try:
        status = bench(options)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        status = INTERRUPTED
    found = [results for path in paths if (results := read(path))]
    bad = [_words(dead) for dead in read(Path(options.out) / DEAD) or []]
    for results in found:
        print(render(results))
        bad += wrong(results)
    for line in dict.fromkeys(bad):
        print(f"- {line}")
    return status or (_FAILED if bad else 0)
