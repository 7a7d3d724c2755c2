"""Upscale a photograph with the demo networks, and measure what the rewrite is worth here.

    make demo                      # or: python scripts/demo.py --threads 1

One of them is quantized to 8 bits, too, on some of the photographs that it was trained on. Writes
build/demo/: the input, bicubic interpolation, each network's result, all side by side, a
detail of them (the README's picture is one), and figures.json with every sample behind the table
that is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime
import tvm
from photographs import FACTOR, HELD_OUT, enlarged, luma, photograph, psnr, reduced
from PIL import Image, ImageDraw
from tvm import relax

import tvm_deconv
from tvm_deconv.bench.figures import Spread
from tvm_deconv.bench.table import aligned
from tvm_deconv.images import split
from tvm_deconv.measure.facts import facts
from tvm_deconv.measure.rotation import rotate, timed_turn
from tvm_deconv.threads import use_threads

ROOT = Path(__file__).resolve().parent.parent
MODELS = {
    "espcn_x3": "convolution + pixel shuffle",
    "resize_x3": "nearest resize + convolution",
}
# The network that is quantized, and what that is called.
QUANTIZED, EIGHT_BITS = "espcn_x3", "espcn_x3_int8"
CALIBRATED = ("chelsea.png", "coffee.png", "rocket.jpg")
# A part of the photograph with edges: left, top, right, bottom. It is shown at twice its size.
DETAIL = (354, 69, 450, 213)
OURS, PLAIN, PEER = "tvm_deconv", "without_rewrite", "onnxruntime"


def measure_network(
    path: Path, what: str, plane: np.ndarray, truth: np.ndarray, threads: int
) -> tuple[np.ndarray, dict[str, Any]]:
    """The network's result for one plane (1, 1, height, width), and its figures."""
    shapes = {"luma": plane.shape}
    report = tvm_deconv.explain(path, shapes=shapes)
    print(f"{path.stem} ({what})\n{report}\n", flush=True)
    runs: dict[str, Callable[[], np.ndarray]] = {}
    seconds = {}
    for name, rewrite in ((OURS, True), (PLAIN, False)):
        with progress(f"{path.stem}: compiling, {name}") as seconds[name]:
            runs[name] = compiled(path, plane, rewrite)
    runs[PEER] = onnx_runtime(path, plane, threads)

    results = {name: call() for name, call in runs.items()}
    with progress(f"{path.stem}: measuring"):
        samples = rotate(list(runs), lambda name, calls: timed_turn(runs[name], calls))
    return results[OURS], {
        "report": report.as_dict(),
        "compile_s": {name: value[0] for name, value in seconds.items()},
        "milliseconds": {
            name: {**asdict(Spread.of(of)), "samples": of} for name, of in samples.items()
        },
        "largest_difference_to_onnxruntime": {
            name: float(np.abs(results[name] - results[PEER]).max()) for name in (OURS, PLAIN)
        },
        "psnr_db": psnr(results[OURS][0, 0], truth),
        "file_bytes": path.stat().st_size,
    }


def compiled(path: Path, plane: np.ndarray, rewrite: bool) -> Callable[[], np.ndarray]:
    executable = tvm_deconv.compile(path, shapes={"luma": plane.shape}, rewrite=rewrite)
    machine = relax.VirtualMachine(executable, tvm.cpu())
    argument = tvm.runtime.tensor(plane)
    main = machine["main"]
    return lambda: main(argument).numpy()


def onnx_runtime(path: Path, plane: np.ndarray, threads: int) -> Callable[[], np.ndarray]:
    """ONNX Runtime on the same threads, told the same shape."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    for name, size in zip(("batch", "height", "width"), np.delete(plane.shape, 1), strict=True):
        options.add_free_dimension_override_by_name(name, int(size))
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"luma": plane})[0]


def of_eight_bits(folder: Path) -> Path:
    """``QUANTIZED`` as a file of 8 bits in ``folder``."""
    path = folder / f"{EIGHT_BITS}.onnx"
    path.unlink(missing_ok=True)
    with progress(f"{QUANTIZED}: quantizing"), TemporaryDirectory() as images:
        for name in CALIBRATED:
            reduced(photograph(name)).save(Path(images) / f"{name}.png")
        tvm_deconv.quantize(ROOT / "scripts" / "models" / f"{QUANTIZED}.onnx", path, images)
    return path


@contextmanager
def progress(what: str) -> Iterator[list[float]]:
    """Say on stderr what is under way and how long it took; the seconds land in the list."""
    print(f"{what} ...", end=" ", file=sys.stderr, flush=True)
    started = time.perf_counter()
    taken: list[float] = []
    yield taken
    taken.append(time.perf_counter() - started)
    print(f"{taken[0]:.1f} s", file=sys.stderr)


def side_by_side(pictures: dict[str, Image.Image]) -> Image.Image:
    """The pictures in a row, each with its caption above."""
    width, height = next(iter(pictures.values())).size
    caption = 22
    sheet = Image.new("RGB", (width * len(pictures), height + caption), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (name, picture) in enumerate(pictures.items()):
        draw.text((column * width + 6, 5), name, fill="black")
        sheet.paste(picture, (column * width, caption))
    return sheet


def detail(picture: Image.Image) -> Image.Image:
    """``DETAIL``, each pixel as four."""
    part = picture.crop(DETAIL)
    return part.resize((2 * part.width, 2 * part.height), Image.Resampling.NEAREST)


def table(figures: dict[str, Any]) -> str:
    """The figures of all networks, as a table for people."""
    header = ("network", "rewritten", "refused", "ours ms", "no rewrite", "ORT ms", "largest diff")
    rows = [(*header, "KiB", "PSNR dB", "bicubic dB")]
    for name, network in figures["networks"].items():
        report = network["report"]
        times = (
            str(Spread.of(network["milliseconds"][who]["samples"])) for who in (OURS, PLAIN, PEER)
        )
        difference = network["largest_difference_to_onnxruntime"][OURS]
        quality = (f"{network['psnr_db']:.2f}", f"{figures['bicubic_psnr_db']:.2f}")
        size = f"{network['file_bytes'] / 2**10:.0f}"
        counts = (str(report["rewritten"]), str(report["refused"]))
        rows.append((name, *counts, *times, f"{difference:.1e}", size, *quality))
    return aligned(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, help="threads for everybody (default: all)")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "demo", help="result folder")
    options = parser.parse_args()
    threads = use_threads(options.threads)
    options.out.mkdir(parents=True, exist_ok=True)

    original = photograph(HELD_OUT)
    small = reduced(original)
    seen = split(small, channels=1)
    pictures = {"bicubic": enlarged(small)}
    figures: dict[str, Any] = {
        **facts(threads, "onnxruntime", "scikit-image", "pillow"),
        "photograph": HELD_OUT,
        "factor": FACTOR,
        "input_shape": list(seen.planes.shape),
        "bicubic_psnr_db": psnr(luma(pictures["bicubic"]), luma(original)),
        "networks": {},
    }
    folder = ROOT / "scripts" / "models"
    networks = {name: (folder / f"{name}.onnx", what) for name, what in MODELS.items()}
    networks[EIGHT_BITS] = of_eight_bits(options.out), f"{QUANTIZED} in 8 bits"
    for name, (path, what) in networks.items():
        result, figures["networks"][name] = measure_network(
            path, what, seen.planes, luma(original), threads
        )
        enlarged_by_it = seen.join(result)
        assert isinstance(enlarged_by_it, Image.Image), "photographs of 8 bits stay so"
        pictures[name] = enlarged_by_it
    pictures["original"] = original

    small.save(options.out / "input.png")
    for name, picture in pictures.items():
        picture.save(options.out / f"{name}.png")
    side_by_side(pictures).save(options.out / "side_by_side.png")
    pictures = {"input": small.resize(original.size, Image.Resampling.NEAREST), **pictures}
    details = side_by_side({name: detail(picture) for name, picture in pictures.items()})
    details.save(options.out / "detail.png", optimize=True)
    (options.out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(table(figures))
    print(
        f"\n{figures['machine']['cpu']}, {threads} threads, {small.width} x "
        f"{small.height} pixels; times are medians ± half the quartile distance."
    )
    print(f"Pictures and figures.json with all samples are in {options.out}")


if __name__ == "__main__":
    main()
