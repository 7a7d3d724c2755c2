"""The inner loops for AArch64 against the multiply-add bound, by LLVM's machine code analyser.

    make mca                                  # or: python scripts/mca.py --core cortex-a72 --json

No board is needed and the table is the same every time: our kernels are compiled for each core, the
reduction's loop is found in the assembly, and llvm-mca says how many cycles an iteration takes with
every load from level 1. The bound is that of llvm-mca too: a block of independent multiply-adds.
Spills are stores to the stack inside the loop, reloads are loads from it.

Each layer has a line for `revd2`, which `--no-winograd` gives, and one for `winograd`, which the
machine model prefers for all of these layers; its loop is that of the products, and its transforms,
which are no reduction, are not in the table. The register tile is channels x phases x vectors in
`revd2`, and rows x vectors in `winograd`, where a row is a phase of a channel. The line for
`integer` is that of the layer quantized to 8 bits, in the form that the machine model takes: `sdot`
where the core has it and weights fit into bytes, else `smlal`; its multiply-adds are such
instructions. By F(2x2, 2x2) the register tile is channels x vectors, and by unfolded taps channels
x taps x vectors; there, too, the loop is that of the products. The line for `revd2 float16` has
sums of float16, where the core computes in it.

The model of a core is not the core, and two need a second view:

- cortex-a76 borrows the model of Cortex-A57 (one vector multiply-add and one load in a cycle). Its
  own pipeline, with two of each, is modelled as neoverse-n1.
- cortex-a53's model makes every instruction wait until it can write its result after all older
  ones. A load (4 cycles) then waits 6 cycles for the multiply-add (10 cycles) before it, which
  no A53 does: measurements on a Raspberry Pi 3 are in LLVM's pull request 213238. Under this rule
  no loop comes near the bound: even 15 loads and then 48 multiply-adds, as many as 32 registers
  allow, written by hand, reach 67 %. The second view takes the cycles from the model of
  cortex-a55, the in-order successor that issues two instructions in a cycle as well, and holds them
  against the bound of the A53. (The same pull request measured two cycles for a multiply-add of
  128 bits, where the model of LLVM 19 has one; then loads have twice the time.)
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from operator import itemgetter

import tvm
from inner_loop import Loop, NoAnalyser, analyser, cycles, cycles_per_multiply_add, reduction_loops
from tvm import te

from tvm_deconv.algebra.byte_forms import Forms
from tvm_deconv.algebra.exact_winograd import refusal
from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.backends import linking
from tvm_deconv.schedules.cpu.integer.kernel import Integer, Store
from tvm_deconv.schedules.cpu.integer.tile import choose_tile, tile_cycles
from tvm_deconv.schedules.cpu.integer.unfolded.kernel import UnfoldedInteger
from tvm_deconv.schedules.cpu.integer.winograd.kernel import WinogradInteger
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.revd2 import REVD2, REVD2_IN_HALF
from tvm_deconv.schedules.cpu.tiling import Tiling
from tvm_deconv.schedules.cpu.winograd.tile import WinogradTile
from tvm_deconv.schedules.cpu.winograd.variant import WINOGRAD
from tvm_deconv.schedules.variant import Sizes, Variant
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform.lower.byte_forms import kernels_of
from tvm_deconv.transform.lower.integer_choice import IntegerKernel, function_of

WANTED = 0.85
HEADINGS = (
    "| layer | variant | code for | cycles by | register tile | multiply-adds | loads | cycles "
    "| bound | share | spills | reloads |"
)


@dataclass(frozen=True)
class View:
    """Code for ``core``, its cycles by ``model``, held against the bound of ``bound``."""

    core: str
    model: str
    bound: str


VIEWS = (
    View("cortex-a53", "cortex-a53", "cortex-a53"),
    View("cortex-a53", "cortex-a55", "cortex-a53"),
    View("cortex-a72", "cortex-a72", "cortex-a72"),
    View("cortex-a76", "cortex-a76", "cortex-a76"),
    View("cortex-a76", "neoverse-n1", "neoverse-n1"),
)
INTEGER = "integer"
INTEGER_VIEWS = (*VIEWS[:2], View("cortex-a55", "cortex-a55", "cortex-a55"), *VIEWS[2:])
VARIANTS = (REVD2, WINOGRAD)
CORES = tuple(dict.fromkeys(view.core for view in INTEGER_VIEWS))

_SAME = ConvAxis(3, 1, 1)


def _layer(inputs: int, outputs: int, axis: Axis, *size: int) -> tuple[ConvTranspose2d, Sizes]:
    return ConvTranspose2d(inputs, outputs, axis, axis), Sizes(1, *size)


LAYERS = {
    "sub-pixel r3 32->1, 224": _layer(32, 1, axis_of_subpixel(_SAME, 3), 224, 224),
    "sub-pixel r2 64->64, 128": _layer(64, 64, axis_of_subpixel(_SAME, 2), 128, 128),
    "nearest r2 64->64, 128": _layer(64, 64, axis_of_resize(_SAME, 2), 128, 128),
    "nearest r2 256->256, 64": _layer(256, 256, axis_of_resize(_SAME, 2), 64, 64),
    "deconv K4 s2 256->128, 16": _layer(256, 128, Axis(4, 2, 1, 1), 16, 16),
    "deconv K9 s3 56->1, 126x128": _layer(56, 1, Axis(9, 3, 4, 4, 2), 126, 128),
    "plain 3x3 64->64, 128": _layer(64, 64, axis_of_subpixel(_SAME, 1), 128, 128),
}


@dataclass(frozen=True)
class Row:
    """One line of the table; cycles are those of one iteration of the loop, or of all of them."""

    layer: str
    variant: str
    core: str
    model: str
    tile: str
    multiply_adds: int
    loads: int
    cycles: float
    bound: float
    share: float
    spills: int
    reloads: int


@dataclass(frozen=True)
class Kernel:
    """A layer's code for a core: its register tile, and the loops of its reduction.

    ``by`` says in words which form of fewer products it has.
    """

    register_tile: tuple[int, ...]
    loops: list[Loop]
    by: str = ""


def compiled(layer: str, variant: Variant, core: str) -> Kernel:
    """The layer by the variant, with the sizes that the machine model chooses for the core."""
    conv, sizes = LAYERS[layer]
    target = _target(core)
    tile = variant.choose(conv, sizes, cpu_machine(target))
    return Kernel(register_tile(conv, tile), _loops(_scheduled(layer, variant, tile), target))


@cache
def _scheduled(layer: str, variant: Variant, tile: Tiling | WinogradTile) -> tvm.tirx.PrimFunc:
    """The layer's function, the same for all cores of one tile."""
    conv, sizes = LAYERS[layer]
    x = te.placeholder((sizes.batch, conv.in_channels, *sizes[1:]), "float32", "x")
    dtype = variant.weight_dtype("float32")
    packed = te.placeholder(variant.packed_shape(conv, tile), dtype, "weight")
    y = variant.compute(conv, tile, x, packed)
    func = te.create_prim_func([x, packed, y], index_dtype_override="int64")
    func = func.with_attr("tirx.noalias", True).with_attr("global_symbol", "main")
    return variant.schedule(func, conv, tile)


def _takes_half(layer: str, core: str) -> bool:
    """Whether sums of float16 are for the core, and its kernel for the layer."""
    (conv, sizes), machine, half = LAYERS[layer], cpu_machine(_target(core)), REVD2_IN_HALF
    if machine.in_half is None:
        return False
    tile = half.choose(conv, sizes, machine)
    return half.space.refusal(conv, sizes, tile, machine) is None


def compiled_integers(layer: str, core: str) -> Kernel:
    """The layer quantized, of bytes to bytes, as the machine model takes it.

    Weights of a folded resize are of 16 bits tap by tap, and of bytes where it is unfolded.
    """
    conv, sizes = LAYERS[layer]
    target = _target(core)
    machine = cpu_machine(target)
    is_folded = layer.startswith("nearest")
    dot = machine.wide if is_folded else machine.narrow
    tile = choose_tile(conv, dot, sizes, machine)
    store = Store("uint8")
    forms = Forms(None if refusal(conv) else is_folded, 8 if is_folded else None)
    found: list[tuple[IntegerKernel, float, str]] = [
        *kernels_of(conv, "uint8", dot, store, sizes, machine, forms)
    ]
    direct = tile_cycles(conv, dot, sizes, tile, machine)
    found.append((Integer(conv, "uint8", dot, tile, store), direct, ""))
    kernel, _, by = min(found, key=itemgetter(1))
    func = function_of(kernel, (1, conv.in_channels, *sizes[1:]))
    loops = _loops(func.with_attr("global_symbol", "main"), target)
    if isinstance(kernel, UnfoldedInteger):
        # Loops before it are those of the border.
        loops = loops[-1:]
    return Kernel(_register_tile_of_bytes(kernel), loops, by)


def _register_tile_of_bytes(kernel: IntegerKernel) -> tuple[int, ...]:
    if isinstance(kernel, UnfoldedInteger):
        return kernel.tile.channels, kernel.tile.taps, kernel.tile.vectors
    if isinstance(kernel, WinogradInteger):
        return kernel.tile.channels, kernel.tile.vectors
    assert isinstance(kernel, Integer)
    conv, tile = kernel.op, kernel.tile
    phases = conv.w.stride * (conv.h.stride if tile.joined else 1)
    return tile.channels, phases, tile.vectors


def _target(core: str) -> tvm.target.Target:
    return resolve_target(
        {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": core, "num-cores": 4}
    )


def _loops(func: tvm.tirx.PrimFunc, target: tvm.target.Target) -> list[Loop]:
    built = linking.compiled(func, target).mod
    listings = [m.inspect_source("asm") for m in (built, *built.imports) if m.kind == "llvm"]
    return reduction_loops("\n".join(listings))


def register_tile(conv: ConvTranspose2d, tile: Tiling | WinogradTile) -> tuple[int, ...]:
    if isinstance(tile, WinogradTile):
        return tile.channels, tile.vectors
    phases = conv.w.stride * (conv.h.stride if tile.inner_fh else 1)
    return tile.channels, phases, tile.vectors


def rows(layers: list[str], cores: list[str]) -> Iterator[Row]:
    """The table, line by line. Raises NoAnalyser."""
    for layer in layers:
        for variant, core in product(VARIANTS, cores):
            views = [view for view in VIEWS if view.core == core]
            if views:
                kernel = compiled(layer, variant, core)
                yield from (row(layer, variant.name, kernel, view) for view in views)
        for core in cores:
            if _takes_half(layer, core):
                kernel = compiled(layer, REVD2_IN_HALF, core)
                name = f"{REVD2_IN_HALF.name} {REVD2_IN_HALF.accumulate}"
                views = [view for view in INTEGER_VIEWS if view.core == core]
                yield from (row(layer, name, kernel, view) for view in views)
            kernel = compiled_integers(layer, core)
            name = f"{INTEGER} {kernel.loops[0].instruction} {kernel.by}".rstrip()
            for view in INTEGER_VIEWS:
                if view.core == core:
                    yield row(layer, name, kernel, view)


def row(layer: str, variant: str, kernel: Kernel, view: View) -> Row:
    loops = kernel.loops
    count = sum(loop.multiply_adds for loop in loops)
    bound = count * cycles_per_multiply_add(view.bound, loops[0].instruction)
    # Another core's model may start more multiply-adds in a cycle than this core can.
    taken = max(bound, sum(cycles(loop.instructions, view.model) for loop in loops))
    return Row(
        layer,
        variant,
        view.core,
        view.model,
        " x ".join(map(str, kernel.register_tile)),
        count,
        sum(loop.loads for loop in loops),
        round(taken, 1),
        round(bound, 1),
        round(bound / taken, 3),
        sum(loop.spills for loop in loops),
        sum(loop.reloads for loop in loops),
    )


def show(table: list[Row]) -> None:
    print(HEADINGS)
    print("|---" * HEADINGS.count(" |") + "|")
    for r in table:
        print(f"| {r.layer} | {r.variant} | {r.core} | {r.model} | {r.tile} |", end="")
        print(f" {r.multiply_adds} | {r.loads} | {r.cycles} | {r.bound} | {r.share:.0%} |", end="")
        print(f" {r.spills} | {r.reloads} |")
    low = [r for r in table if r.share < WANTED]
    spilt = [r for r in table if r.spills or r.reloads]
    print(
        f"\n{len(low)} of {len(table)} below {WANTED:.0%} of the bound, {len(spilt)} with spills."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--core", action="append", choices=CORES, help="only this core")
    parser.add_argument("--only", default="", metavar="TEXT", help="only layers with TEXT in name")
    parser.add_argument("--json", action="store_true", help="print JSON, not a table")
    options = parser.parse_args()
    layers = [name for name in LAYERS if options.only in name]
    if not layers:
        parser.error(f"no layer has {options.only!r} in its name; there are: {', '.join(LAYERS)}")
    try:
        analyser()
    except NoAnalyser as error:
        raise SystemExit(str(error)) from error
    table = list(rows(layers, options.core or list(CORES)))
    if options.json:
        print(json.dumps([asdict(r) for r in table], indent=1))
    else:
        show(table)


if __name__ == "__main__":
    main()
