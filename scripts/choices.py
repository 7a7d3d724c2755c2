"""All variants of some layers, measured beside each other on one thread: what choices are held to.

    python scripts/choices.py --target '{"kind": "llvm", "mcpu": "haswell"}' --logs build/choices

Writes a tuning log of the variants with the parameters that they choose themselves, in which the
multiply-add peak is a function of that name, one trial before each layer's. The target may be any
whose code this processor runs, such as one for an older processor; then its log is not one of this
machine, and should not lie where others look for logs. Results are compared with float64 before
anything is timed. Times are those of the thread, not of the clock, so that other programs matter
less; contestants take turns in changing order.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import tvm

from tvm_deconv.backends import backend_of, machine_of
from tvm_deconv.backends.linking import compiled
from tvm_deconv.compiler import for_threads
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.header import Header, device_name
from tvm_deconv.logs.layer import Candidate, Layer
from tvm_deconv.logs.trial import OK, Trial
from tvm_deconv.measure.facts import cpu_model
from tvm_deconv.measure.reference import TOLERANCE, largest_error, transposed_convolution
from tvm_deconv.measure.rotation import rotate, timed_turn
from tvm_deconv.schedules.cpu.integer.variant import IntegerVariant
from tvm_deconv.schedules.machines import variants_for

PEAK = "peak"
LAYERS = {
    "sub-pixel r2": "deconv 6x6 s2 64->64 p2 1x128x128 float32",
    "sub-pixel r3 to one channel": "deconv 9x9 s3 32->1 p3 1x224x224 float32",
    "sub-pixel r4": "deconv 12x12 s4 64->3 p4 1x64x64 float32",
    "nearest r2": "deconv 4x4 s2 64->64 p1 1x128x128 float32",
    "nearest r2, 128 channels": "deconv 4x4 s2 128->64 p1 1x64x64 float32",
    "nearest r2, 256 channels": "deconv 4x4 s2 256->256 p1 1x32x32 float32",
    "kernel 2": "deconv 2x2 s2 128->64 1x64x64 float32",
    "kernel 2 to one channel": "deconv 2x2 s2 64->1 1x160x160 float32",
    "kernel 3": "deconv 3x3 s2 128->64 p1 o1 1x64x64 float32",
    "kernel 4": "deconv 4x4 s2 256->128 p1 1x16x16 float32",
    "kernel 4, small map": "deconv 4x4 s2 512->256 p1 1x8x8 float32",
    "kernel 9 to one channel": "deconv 9x9 s3 56->1 p4 o2 1x126x128 float32",
    "convolution": "deconv 3x3 64->64 p1 1x56x56 float32",
    "convolution, small map": "deconv 3x3 512->512 p1 1x7x7 float32",
    "convolution of one channel": "deconv 5x5 1->64 p2 1x224x224 float32",
    "1x1": "deconv 1x1 64->128 1x56x56 float32",
    "1x1, small map": "deconv 1x1 512->512 1x7x7 float32",
    "stride 2": "deconv 3x3 step2 64->128 p1 1x56x56 float32",
    "stride 2, 7x7": "deconv 7x7 step2 3->64 p3 1x224x224 float32",
    "depthwise": "deconv 3x3 128->128 g128 p1 1x56x56 float32",
    "depthwise, stride 2": "deconv 3x3 step2 96->96 g96 p1 1x112x112 float32",
}
# Variants that the machine model expects to take this many times the fewest cycles are left out.
HOPELESS = 8
Call = Callable[[], object]


def measured(calls: dict[str, Call], rounds: int, limit_s: float) -> dict[str, list[float]]:
    """Seconds of the thread for every call."""
    found = rotate(
        list(calls),
        lambda name, count: timed_turn(calls[name], count, warm_s=0, clock=time.thread_time),
        rounds=rounds,
        limit_s=limit_s,
        exempt=(PEAK,),
        pause_s=0,
    )
    return {name: [ms / 1e3 for ms in times] for name, times in found.items()}


def peak_call(target: tvm.target.Target) -> tuple[int, Call]:
    """Operations of a call of a kernel that multiplies and adds in registers, and the call."""
    probe = backend_of(target).peak(target)
    arguments = [tvm.runtime.tensor(np.full(shape, 0.5, probe.dtype)) for shape in probe.shapes]
    main = compiled(probe.func, target)["main"]
    return probe.work, lambda: main(*arguments)


def candidates(layer: Layer, target: tvm.target.Target) -> list[Candidate]:
    """Those of every variant, as it chooses itself, that computes the layer in decent time."""
    machine = machine_of(target)
    found = []
    for variant in variants_for(machine).values():
        if variant.cannot(layer.conv) is None:
            own = variant.choose(layer.conv, layer.sizes, machine)
            if variant.space.refusal(layer.conv, layer.sizes, own, machine) is None:
                cycles = variant.cycles(layer.conv, layer.sizes, own, machine)
                found.append((cycles, Candidate(layer, variant, own)))
    fewest = min(cycles for cycles, _ in found)
    return [candidate for cycles, candidate in found if cycles <= HOPELESS * fewest]


def operands(layer: Layer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, weights and what comes out, the last in float64."""
    conv, random = layer.conv, np.random.default_rng(0)
    shapes = layer.input_shape, conv.weight_shape
    x, weight = (random.standard_normal(shape, "float32") for shape in shapes)
    weight[:, :, sorted(conv.h.zero_taps)] = 0
    weight[:, :, :, sorted(conv.w.zero_taps)] = 0
    numbers = conv.strides, conv.padding, conv.output_padding, conv.dilation, conv.groups
    down, right = conv.step
    return x, weight, transposed_convolution(x, weight, *numbers)[:, :, ::down, ::right]


def call_of(candidate: Candidate, target: tvm.target.Target, case: tuple[np.ndarray, ...]) -> Call:
    """A call of a candidate's kernel, whose result is right."""
    layer, variant = candidate.layer, candidate.variant
    # No layer here is one of bytes, whose kernels take more than weights.
    assert not isinstance(variant, IntegerVariant), layer
    x, weight, expected = case
    packed = variant.pack_weights(weight, layer.conv, candidate.parameters)
    y = tvm.runtime.empty(layer.output_shape, layer.dtype)
    arguments = [*map(tvm.runtime.tensor, (x, packed.astype(candidate.weight_dtype))), y]
    main = compiled(candidate.kernel(), target)["main"]
    main(*arguments)
    error = largest_error(y.numpy(), expected)
    assert error <= TOLERANCE[layer.dtype], f"{variant.name}, {layer}: {error:.1e} away"
    return lambda: main(*arguments)


def measure_layer(
    name: str, target: tvm.target.Target, log: LogFolder, rounds: int, limit_s: float
) -> None:
    """Write the trials of a layer, and print them with their shares of the peak."""
    layer = Layer.parse(LAYERS[name])
    chosen, case = candidates(layer, target), operands(layer)
    calls = {candidate.variant.name: call_of(candidate, target, case) for candidate in chosen}
    operations, calls[PEAK] = peak_call(target)
    found = measured(calls, rounds, limit_s)
    what = f"{operations} operations, beside {layer}"
    peak = Trial.of_function(PEAK, what, PEAK, OK, found[PEAK], seed=0, stage="default")
    log.commit(peak)
    print(f"{name}: {layer}, peak {operations / peak.median / 1e9:.1f} GFLOP/s")
    trials = [
        Trial.of(one, name, OK, found[one.variant.name], seed=0, stage="default") for one in chosen
    ]
    for trial in sorted(trials, key=lambda trial: trial.median):
        log.commit(trial)
        share = 2 * layer.multiply_adds / trial.median / (operations / peak.median)
        print(f"    {trial.variant:10} {trial.median * 1e3:8.3f} ms {share:5.0%} of the peak")


def layers_with(text: str) -> Sequence[str]:
    """Names of those whose name or description has a text in it."""
    return [name for name in LAYERS if text in name or text in LAYERS[name]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--target", default='"host"', help="as JSON (default: %(default)s)")
    parser.add_argument("--logs", required=True, type=Path, metavar="DIR", help="where to write it")
    parser.add_argument("--only", default="", metavar="TEXT", help="only layers with TEXT in name")
    parser.add_argument("--rounds", type=int, default=6, help="turns of five calls each")
    parser.add_argument("--limit", type=float, default=10, metavar="SECONDS", help="for a layer")
    options = parser.parse_args()
    target = for_threads(json.loads(options.target), 1)
    header = Header.of(
        device_name(target), target, description=f"{cpu_model()}, code for the target"
    )
    with LogFolder.for_tuning(options.logs, header) as log:
        for name in layers_with(options.only):
            measure_layer(name, target, log, options.rounds, options.limit)


if __name__ == "__main__":
    main()
