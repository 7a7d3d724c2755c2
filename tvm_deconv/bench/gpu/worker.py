"""The process that uses the GPU: it measures what is not yet in the result files, and ends.

A kernel that reads or writes where it may not takes CUDA down for its whole process. So before a
contestant is run, its name is written to a file: ``run`` finds there what a process died of, and
starts another one, which leaves it out.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tvm_deconv.bench.figures import DIRECT, FORMAT, HEADLINE, MEASURED, OURS
from tvm_deconv.errors import BenchError
from tvm_deconv.files import write_json
from tvm_deconv.measure.facts import facts
from tvm_deconv.measure.reference import TOLERANCE
from tvm_deconv.workloads.spec import LayerSpec

from . import manifest as packed
from .cuda import CudaDevice, NoGpu
from .device import LAYER, DeviceLost, Processor
from .eight_bits import EIGHT_BITS, SEED
from .table import TUNED

TRYING, DEAD = "trying.json", "dead.json"
NO_GPU, DEVICE_LOST, INTERRUPTED = 3, 4, 130


@dataclass(frozen=True)
class Options:
    """What a run does; everything is JSON. ``workloads`` are names in the manifest."""

    pack: str
    out: str
    device: str = "cuda"
    dtypes: tuple[str, ...] = ("float32", "float16", EIGHT_BITS)
    workloads: tuple[str, ...] = ()
    limit_s: float = 5.0
    peers: bool = True
    compiled: bool = False
    seed: int = 0


def result_path(folder: str | os.PathLike, dtype: str) -> Path:
    """Where the results of a dtype are."""
    return Path(folder) / f"gpu-{dtype}.json"


def read(path: Path) -> Any:
    """What a file of ours holds; nothing if it is not there."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def run(options: Options) -> None:
    """Measure every layer that the result files lack; they are written after each.

    Raises NoGpu, and BenchError for the pack.
    """
    manifest = packed.read(options.pack)
    version = _pytorch() if options.peers else None
    with CudaDevice() if options.device == "cuda" else Processor() as device:
        layers = options.workloads or tuple(manifest["layers"])
        for dtype in options.dtypes:
            path = result_path(options.out, dtype)
            results = read(path) or _head(manifest, device, dtype, version)
            for name in layers:
                if name in results["workloads"] or dtype not in manifest["chosen"].get(name, {}):
                    continue
                print(f"{name} {dtype} ...", flush=True)
                gc.collect()  # the graphs and buffers of the layer before
                _measure(name, dtype, manifest, device, results, options, version)
                write_json(path, results)


def _pytorch() -> str | None:
    """PyTorch, if it is installed: imported before TVM, whose CUDA runtime it may bring."""
    try:
        from .pytorch import configure
    except ImportError:
        return None
    return configure()


def _head(
    manifest: Mapping[str, Any], device: Any, dtype: str, version: str | None
) -> dict[str, Any]:
    """The result file before any layer."""
    known = facts(1)
    known["machine"] |= {"gpu": device.name, **device.facts()}
    left_out = {} if version else {"PyTorch": "it is not installed"}
    if dtype == EIGHT_BITS:
        left_out = {"PyTorch": "it has no convolution of bytes on a GPU"}
    return {
        "format": FORMAT,
        **known,
        "commit": manifest["commit"],
        "packed": {key: manifest[key] for key in ("arch", "date", "versions")},
        "dtype": dtype,
        "roles": dict.fromkeys((HEADLINE, DIRECT, TUNED), OURS),
        "left_out": {**left_out, **manifest["left_out"]},
        "interrupted": False,
        "workloads": {},
    }


def _measure(
    name: str,
    dtype: str,
    manifest: Mapping[str, Any],
    device: Any,
    results: dict[str, Any],
    options: Options,
    version: str | None,
) -> None:
    # After the device: CUDA's runtime has to be there before TVM.
    from .contest import OWN_TOLERANCE, Contest

    folder, out = Path(options.pack), Path(options.out)

    def begin(who: str) -> None:
        write_json(out / TRYING, {"layer": name, "dtype": dtype, "who": who})

    dead = {
        item["who"]: item["reason"]
        for item in read(out / DEAD) or []
        if (item["layer"], item["dtype"]) == (name, dtype)
    }
    if LAYER in dead:
        results["left_out"][name] = dead[LAYER]
        return
    begin(LAYER)
    kernels = [
        record
        for record in manifest["kernels"]
        if (record["layer"], record["dtype"]) == (name, dtype)
    ]
    layer = manifest["layers"][name]
    spec = LayerSpec(**layer["spec"])
    # Operands of bytes are packed already.
    seed = SEED if dtype == EIGHT_BITS else options.seed
    contest = Contest(spec, dtype, device, seed, begin, dead)
    contest.bounds(manifest["peak"], folder)
    contest.kernels(kernels, folder)
    if version:
        contest.peers(version, options.compiled)
    begin(LAYER)
    contest.turns(options.limit_s)
    results["tolerance"] = OWN_TOLERANCE[dtype] if dtype == EIGHT_BITS else TOLERANCE[dtype]
    result = contest.result(manifest["chosen"][name][dtype])
    results["workloads"][name] = {"origin": layer["origin"], **result}
    results["roles"] |= contest.roles
    if version:
        results["versions"]["torch"] = version
    (out / TRYING).unlink()
    counted = sum(record["status"] == MEASURED for record in contest.records.values())
    print(f"    {counted} of {len(contest.records)} measured", flush=True)


def start(options: Options) -> list[str]:
    """The command of such a process."""
    return [sys.executable, "-m", __name__, json.dumps(asdict(options))]


def main() -> int:
    values = json.loads(sys.argv[1])
    values |= {name: tuple(values[name]) for name in ("dtypes", "workloads")}
    options = Options(**values)
    try:
        run(options)
    except NoGpu as error:
        print(f"error: {error}", file=sys.stderr)
        return NO_GPU
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return INTERRUPTED
    except DeviceLost as error:
        trying = Path(options.out) / TRYING
        write_json(trying, {**read(trying), "reason": str(error)})
        sys.stdout.flush()
        os._exit(DEVICE_LOST)  # what is left to clean up would fail, some of it loudly
    return 0


if __name__ == "__main__":
    sys.exit(main())
