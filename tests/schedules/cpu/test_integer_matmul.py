"""Products of matrices of bytes against sums of int64, for each instruction of any processor."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import tvm
from integer_kernel import drawn
from kernel import HOST, compile_quickly
from tvm import tirx

from tvm_deconv.schedules.cpu.dot import Dot, dot_of, wide_dot_of
from tvm_deconv.schedules.cpu.integer.kernel import Store, Sum
from tvm_deconv.schedules.cpu.integer.matmul.kernel import Matmul
from tvm_deconv.schedules.cpu.integer.matmul.pair import MatmulPair, write_pair
from tvm_deconv.schedules.cpu.integer.matmul.tile import (
    MatmulTile,
    choose_pair_tile,
    choose_tile,
)
from tvm_deconv.schedules.cpu.integer.matmul.write import write_matmul
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.targets import resolve_target

DOTS = {
    "best": dot_of(HOST),
    "wide": wide_dot_of(HOST),
    "sse2": Dot("pairs", 4, 2, 16, "llvm.x86.sse2.pmadd.wd", adds=False),
    "plain": Dot("plain", 4, 1, 16),
}
TILE = MatmulTile(3, 2, 6)
MACHINE = CpuMachine("avx512", 16, 32, 32 << 10, 1 << 20, 2)
VNNI = Dot("vnni", 16, 4, 32, "llvm.x86.avx512.vpdpbusd.512", is_signed=False)


def product(shape, outputs, dtype="uint8", zero_point=3, dot=None, **options):
    """What the kernel computes of random integers, and what NumPy does."""
    rng, dot, kind = np.random.default_rng(0), dot or dot_of(HOST), options.get("weights", "int8")
    x, weight = drawn(dtype, shape, rng), drawn(kind, (shape[-1], outputs), rng)
    if options.get("extreme"):
        x, weight = np.full_like(x, np.iinfo(dtype).max), np.full_like(weight, np.iinfo(kind).max)
    store = options.get("store", Store("uint8"))
    kernel = Matmul(shape[-1], outputs, dtype, dot, options.get("tile", TILE), store)
    stored = 0 if store.dtype == "float32" else 7
    bias = rng.integers(-5000, 5000, (outputs, 1, 1))
    scales = rng.uniform(0.5, 1, (outputs, 1, 1)) / np.iinfo(kind).max
    scales = (scales / np.sqrt(shape[-1])).astype("float32")
    out = np.zeros((*shape[:-1], outputs), store.result)
    numbers = store.numbers(stored)
    arrays = [
        x,
        kernel.pack(weight.astype("int64")),
        kernel.points(zero_point, stored),
        kernel.lines(bias - kernel.corrections(weight, zero_point)).astype("int32"),
        kernel.lines(scales),
        numbers,
    ]
    shifts, slopes = scales * 1000, np.linspace(-0.5, 0.5, outputs, dtype="float32")
    arrays += [kernel.lines(values) for values, has in
               ((shifts, store.has_shift), (slopes, store.has_slope)) if has]  # fmt: skip
    other = drawn("int8", out.shape, rng)
    if store.sum is not None:
        arrays += [other, store.sum.values((0.5, 0.25, 1.0), (stored, 5, 11), 0, np.inf)]
    free = [tirx.Var(f"n{i}", "int64") if i in options.get("free", ()) else size
            for i, size in enumerate(shape)]  # fmt: skip
    func = write_matmul(kernel, free).with_attr("global_symbol", "main")
    result = tvm.runtime.tensor(out)
    compile_quickly(func, HOST)["main"](*map(tvm.runtime.tensor, arrays), result)
    sums = (x.astype("int64") - zero_point) @ weight.astype("int64") + bias.ravel()
    value = sums.astype("float32") * scales.ravel()
    if store.has_shift:
        value = value + shifts.ravel()
    if store.has_slope:
        value = np.where(value < 0, value * slopes, value)
    value = value.clip(*numbers[:2])
    if store.dtype != "float32":
        value = np.rint(value) + stored
    if store.sum is not None:
        total = (value - stored) * 0.5 + (other.astype("float64") - 5) * 0.25
        value = (np.rint(np.maximum(total, 0)) + 11).clip(-128, 127)
    return result.numpy(), value.astype(store.result)


@pytest.mark.parametrize("dot", DOTS.values(), ids=DOTS)
@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 3), ("int8", -128), ("uint8", 255)])
def test_every_instruction_gives_the_same_integers(dot, dtype, zero_point):
    got, expected = product((7, 71), 37, dtype, zero_point, dot)
    np.testing.assert_array_equal(got, expected)
    assert len(np.unique(got)) > 30


@pytest.mark.parametrize("inputs", [1, 4, 66])
@pytest.mark.parametrize("outputs", [1, 64, 65])
def test_edges_of_words_and_tiles_are_exact(inputs, outputs):
    got, expected = product((2, 5, inputs), outputs, "int8", 9)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("tile", [MatmulTile(1, 5, 1), MatmulTile(4, 1, 8), MatmulTile(2, 1, 4, 3)])
def test_a_tile_of_any_rows_vectors_and_splits(tile):
    outputs = 3 * dot_of(HOST).lanes * tile.vectors - 5
    got, expected = product((9, 40), outputs, tile=tile)
    np.testing.assert_array_equal(got, expected)


def test_sizes_may_be_free():
    got, expected = product((2, 3, 5, 18), 21, "int8", free=(0, 1, 2))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "store",
    [
        Store("int8", has_shift=True, has_slope=True),
        Store("float32"),
        Store("uint8", sum=Sum("int8", "int8")),
    ],
    ids=["shift and slope", "floats", "sum"],
)
def test_what_follows_is_in_the_store(store):
    got, expected = product((5, 24), 21, store=store)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dot", DOTS.values(), ids=DOTS)
def test_nothing_saturates_on_the_way(dot):
    got, expected = product((3, 900), 5, dot=dot, store=Store("float32"), extreme=True)
    np.testing.assert_array_equal(got, expected)


def test_weights_of_int16_have_an_instruction_too():
    got, expected = product((3, 30), 20, dot=DOTS["wide"], weights="int16")
    np.testing.assert_array_equal(got, expected)


def pair(shape, columns, dtypes=("uint8", "uint8"), zero_points=(3, 128), dot=None, **options):
    """What the kernel of two matrices computes of random integers, and what NumPy does."""
    rng, dot = np.random.default_rng(0), dot or dot_of(HOST)
    x = drawn(dtypes[0], shape, rng)
    w = drawn(dtypes[1], (*shape[:-2], shape[-1], columns), rng)
    if options.get("extreme"):
        x, w = np.full_like(x, 255), np.full_like(w, 255)
    store = options.get("store", Store("int8"))
    stored = 0 if store.dtype == "float32" else -9
    kernel = MatmulPair(shape[-1], dtypes, dot, options.get("tile", TILE), store)
    wide = [a.astype("int64") - zero for a, zero in zip((x, w), zero_points, strict=True)]
    scale = np.array([150 / np.abs(wide[0] @ wide[1]).max()], "float32")
    numbers, out = store.numbers(stored), np.zeros((*shape[:-1], columns), store.result)
    arrays = [x, w, kernel.points(zero_points, stored), scale, numbers]
    if store.has_slope:
        arrays.append(np.array([0.3], "float32"))
    free = options.get("free", ())
    sizes = [tirx.Var(f"n{i}", "int64") if i in free else size
             for i, size in enumerate((*shape, columns))]  # fmt: skip
    func = write_pair(kernel, sizes[:-1], sizes[-1]).with_attr("global_symbol", "main")
    result = tvm.runtime.tensor(out)
    compile_quickly(func, HOST)["main"](*map(tvm.runtime.tensor, arrays), result)
    value = (wide[0] @ wide[1]).astype("float32") * scale
    if store.has_slope:
        value = np.where(value < 0, value * np.float32(0.3), value)
    if store.dtype != "float32":
        value = np.rint(value.clip(*numbers[:2])) + stored
    return result.numpy(), value.astype(store.result)


@pytest.mark.parametrize("dot", DOTS.values(), ids=DOTS)
@pytest.mark.parametrize(
    ("dtypes", "zero_points"),
    [(("uint8", "uint8"), (0, 255)), (("int8", "int8"), (-128, 5)), (("uint8", "int8"), (255, 0))],
)
def test_two_computed_matrices_are_multiplied_by_every_instruction(dot, dtypes, zero_points):
    got, expected = pair((2, 5, 23), 19, dtypes, zero_points, dot)
    np.testing.assert_array_equal(got, expected)
    assert len(np.unique(got)) > 30


@pytest.mark.parametrize(("inputs", "columns"), [(1, 1), (64, 64), (66, 33)])
def test_edges_of_computed_matrices_are_exact(inputs, columns):
    got, expected = pair((1, 3, 7, inputs), columns, tile=MatmulTile(2, 1, 4))
    np.testing.assert_array_equal(got, expected)


def test_sizes_of_computed_matrices_may_be_free():
    store = Store("uint8", has_slope=True)
    got, expected = pair((2, 2, 9, 18), 21, free=(0, 1, 2, 4), store=store)
    np.testing.assert_array_equal(got, expected.astype("uint8"))


@pytest.mark.parametrize("dot", DOTS.values(), ids=DOTS)
def test_no_sum_of_two_computed_matrices_saturates(dot):
    got, expected = pair((1, 3, 900), 5, dot=dot, store=Store("float32"), extreme=True)
    np.testing.assert_array_equal(got, expected)


def test_of_as_many_matrices_as_threads_each_is_packed_once():
    assert choose_pair_tile(8, 64, 64, 64, VNNI, MACHINE).strip >= 64
    assert choose_pair_tile(1, 64, 64, 64, VNNI, MACHINE).strip < 64


def test_a_tile_keeps_the_multipliers_busy_and_fits_the_registers():
    for rows in (1, 2, 7, 64, None):
        tile = choose_tile(rows, 256, 256, VNNI, MACHINE)
        assert tile.rows * tile.vectors + tile.vectors + 2 <= VNNI.registers
        assert tile.rows <= (rows or tile.rows)
        assert tile.strip % tile.rows == 0
    assert choose_tile(1, 256, 256, VNNI, MACHINE).vectors >= 4


def test_threads_share_columns_where_rows_are_few_and_rows_where_they_are_many():
    assert choose_tile(1, 256, 1024, VNNI, MACHINE).splits == 2
    many = choose_tile(64, 256, 1024, VNNI, MACHINE)
    assert (many.splits, -(-64 // many.strip)) == (1, 2)
    assert choose_tile(64, 256, 1024, VNNI, replace(MACHINE, threads=1)).splits == 1


@pytest.mark.parametrize(
    ("target", "instruction"),
    [
        ({"mtriple": "x86_64-linux-gnu", "mcpu": "cascadelake"}, r"vpdpbusd\s.*%zmm"),
        ({"mtriple": "x86_64-linux-gnu", "mcpu": "haswell"}, r"vpmaddwd\s.*%ymm"),
        ({"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a76"}, r"sdot\s"),
        ({"mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a53"}, r"smlal"),
    ],
    ids=lambda value: value["mcpu"] if isinstance(value, dict) else "",
)
def test_a_processor_gets_its_instruction(target, instruction):
    resolved = resolve_target({"kind": "llvm", **target})
    kernel = Matmul(20, 40, "uint8", dot_of(resolved), MatmulTile(2, 2, 4), Store("uint8"))
    func = write_matmul(kernel, (8, 20)).with_attr("global_symbol", "main")
    assembly = tvm.compile(func, target=resolved).mod.inspect_source("asm")
    assert re.search(instruction, assembly)
