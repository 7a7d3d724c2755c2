"""``channels``: every second output of a layer, sums in several rounds, and what the model says."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import tvm
import tvm_ffi
from drawn import has_output, layers
from hypothesis import given, settings
from hypothesis import strategies as st
from inner_loop import reduction_loops
from kernel import HOST, compile_quickly, expected_output, function, random, run_here, weights_of
from tvm import tirx

from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_subpixel
from tvm_deconv.algebra.packing import as_json, of_json
from tvm_deconv.errors import GeometryError, VariantError
from tvm_deconv.schedules.choice import Preferences, choose
from tvm_deconv.schedules.cpu.channels.tile import PixelTile, choose_pixels
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

CHANNELS = VARIANTS["channels"]


@st.composite
def axes(draw):
    dilation, kernel = draw(st.integers(1, 2)), draw(st.integers(1, 5))
    reach = dilation * (kernel - 1)
    pads = draw(st.integers(0, reach)), draw(st.integers(0, reach))
    return axis_of_subpixel(ConvAxis(kernel, *pads, dilation), 1)


@st.composite
def tiles(draw, conv):
    """Any that are valid; sums in up to five rounds."""
    lanes, vectors = draw(st.sampled_from([1, 4, 8, 16])), draw(st.integers(1, 3))
    count = -(-conv.group_outputs // (lanes * vectors))
    splits = draw(st.sampled_from([n for n in range(1, count + 1) if count % n == 0]))
    sizes = [draw(st.integers(1, most)) for most in (20, 3, 5, conv.group_inputs)]
    return PixelTile(lanes, vectors, *sizes, splits, draw(st.booleans()))


def computed(conv, shape, symbolic="", tile=None, machine=None):
    """The layer, and the same outputs in float64."""
    n, h, w = shape
    func, tile = function(
        "channels", conv, shape, symbolic=symbolic, parameters=tile, machine=machine
    )
    x, weight = random((n, conv.in_channels, h, w), "float32", 0), weights_of(conv, "float32")
    packed = CHANNELS.pack_weights(weight, conv, tile)
    got = run_here(compile_quickly(func, HOST), x, packed, conv.output_shape(n, h, w))
    down, right = conv.step
    return got, expected_output(replace(conv, step=(1, 1)), x, weight)[:, :, ::down, ::right]


def check(got, expected):
    np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6 * np.abs(expected).max())


@settings(max_examples=8)
@given(layers(axes()), st.tuples(st.integers(1, 3), st.integers(1, 3)), st.data())
def test_every_second_output_equals_that_of_all(layer, step, data):
    conv, shape = layer
    conv = replace(conv, step=step)
    if has_output(conv, shape):
        tile = data.draw(st.one_of(st.none(), tiles(conv)))
        check(*computed(conv, shape, data.draw(st.sampled_from(["", "nhw"])), tile))


@settings(max_examples=5)
@given(layers(), st.data())
def test_any_tile_sizes_give_the_same_sums(layer, data):
    conv, shape = layer
    if has_output(conv, shape) and CHANNELS.cannot(conv) is None:
        check(*computed(conv, shape, tile=data.draw(tiles(conv))))


def test_vectors_of_avx2_and_neon_hold_the_same():
    conv = ConvTranspose2d(5, 21, Axis(3, 1, 1, 1), Axis(3, 1, 1, 1), step=(2, 2))
    for target in ({"kind": "llvm", "mcpu": "haswell"}, "raspberry-pi/4b-aarch64"):
        check(*computed(conv, (1, 9, 12), machine=cpu_machine(resolve_target(target))))


@pytest.mark.parametrize("cores", [1, 4])
def test_sums_stay_in_registers_while_they_are_made(cores):
    # In TVM's workspace LLVM kept them there only where one thread runs.
    conv = ConvTranspose2d(64, 64, Axis(3, 1, 1, 1), Axis(3, 1, 1, 1), step=(2, 2))
    aarch64 = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": "cortex-a72"}
    target = resolve_target(aarch64 | {"num-cores": cores})
    func, tile = function("channels", conv, (1, 56, 56), machine=cpu_machine(target))
    assert tile.parallel == (cores > 1)
    loops = reduction_loops(tvm.compile(func, target).mod.inspect_source("asm"))
    assert loops
    assert not [line for loop in loops for line in loop.instructions if line.split()[0][:2] == "st"]


def test_other_variants_compute_no_layer_with_a_step():
    conv = ConvTranspose2d(8, 32, Axis(3, 1, 1, 1), Axis(3, 1, 1, 1), step=(2, 2))
    machine = cpu_machine(HOST)
    found = choose(conv, Sizes(1, 16, 16), "float32", machine, Preferences("revd2"))
    assert found.variant is CHANNELS
    assert "asked for revd2, which cannot: it computes all outputs" in found.reason
    others = {name: v for name, v in VARIANTS.items() if v is not CHANNELS}
    with pytest.raises(VariantError, match="strides 2x2"):
        choose(conv, Sizes(1, 16, 16), "float32", machine, Preferences(variants=others))


def test_a_step_along_an_axis_with_phases_has_no_meaning():
    with pytest.raises(GeometryError, match=r"step of \(1, 2\) needs strides of 1, got \(2, 2\)"):
        ConvTranspose2d(1, 1, Axis(2, 2), Axis(2, 2), step=(1, 2))


def test_a_packing_with_a_step_survives_json():
    conv = ConvTranspose2d(4, 16, Axis(3), Axis(3), step=(2, 1))
    packing = CHANNELS.packing(conv, choose_pixels(conv, Sizes(1, 9, 9), cpu_machine(HOST)))
    assert of_json(json.loads(json.dumps(as_json(packing)))) == packing


@pytest.mark.parametrize("mcpu", ["haswell", "skylake-avx512"])
@pytest.mark.parametrize("size", [7, 28, 56])
def test_register_tiles_of_known_sizes_waste_little(mcpu, size):
    machine = cpu_machine(resolve_target({"kind": "llvm", "mcpu": mcpu}))
    conv = ConvTranspose2d(256, 512, Axis(3, 1, 1, 1), Axis(3, 1, 1, 1), step=(2, 2))
    tile = choose_pixels(conv, Sizes(1, 2 * size, 2 * size), machine)
    assert tile.sums + tile.vectors + 1 <= machine.vector_registers
    assert -(-size // tile.columns) * tile.columns <= 1.15 * size
    # Two multiply-adds in a cycle, four cycles each, keep 8 busy.
    assert tile.sums >= 7


@pytest.mark.parametrize("mcpu", ["haswell", "skylake-avx512", "znver5"])
@pytest.mark.parametrize(("channels", "size"), [((32, 64), 256), ((64, 64), 540), ((16, 24), 320)])
def test_strips_of_large_maps_stay_in_the_level_2_cache(mcpu, channels, size):
    # What is read for each tile of channels is no whole map, even if no row is copied twice then.
    machine = cpu_machine(resolve_target({"kind": "llvm", "mcpu": mcpu, "num-cores": 1}))
    conv = ConvTranspose2d(*channels, Axis(3, 1, 1, 1), Axis(3, 1, 1, 1), step=(2, 2))
    tile = choose_pixels(conv, Sizes(1, size, size), machine)
    assert 4 * (2 * tile.rows + 1) * size * tile.inputs <= machine.l2_bytes


def fetched_lines(conv, shape, tile):
    """Cache lines of weights that are fetched in each phase of the first tile of channels."""
    func, _ = function("channels", conv, shape, parameters=tile)
    weights, values, extents, fetched = func.params[1], {}, {}, {}
    binds = (tirx.Bind, lambda bind: values.update({bind.var: bind.value}))
    loops = (tirx.For, lambda loop: extents.update({loop.loop_var: loop.extent}))
    for noted in (binds, loops):
        tvm_ffi.structural_walk(func.body, noted)

    def plain(expr):
        while bound := {v: values[v] for v in tirx.analysis.undefined_vars(expr) if v in values}:
            expr = edit.bind(expr, bound)
        return expr

    def note(call):
        if not call.op.same_as(tvm.ir.Op.get("tirx.prefetch")) or int(call.args[1]):
            return
        load = call.args[0].args[0]
        if not load.source.same_as(weights):
            return
        place = 0
        for size, index in zip(weights.ty.shape, load.indices, strict=True):
            place = place * int(size) + plain(index)
        used = tirx.analysis.undefined_vars(place)
        phase = tuple(int(index) for index in load.indices[2:4])
        for at in product(*(range(int(extents[var])) for var in used)):
            first = int(edit.bind(place, dict(zip(used, at, strict=True))))
            fetched.setdefault(phase, set()).add(first // 16)

    tvm_ffi.structural_walk(func.body, (tvm.ir.Call, note))
    return fetched


@pytest.mark.parametrize(("vectors", "columns", "inputs"), [(2, 2, 12), (3, 4, 12), (3, 4, 6)])
def test_the_turns_of_a_phase_fetch_all_weights_of_the_next(vectors, columns, inputs):
    """Whose lines are as many behind those of the phase as it has itself."""
    conv = ConvTranspose2d(12, 16 * vectors, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1))
    tile = PixelTile(16, vectors, columns, 1, 4, inputs, parallel=False)
    lines = 4 * 12 * vectors
    for (fh, fw), found in fetched_lines(conv, (1, 4, 4), tile).items():
        following = 2 * fh + fw + 1
        assert set(range(following * lines, (following + 1) * lines)) <= found


@pytest.mark.parametrize("mcpu", ["cortex-a53", "cortex-a55"])
def test_arm_has_registers_for_inputs_that_are_loaded_ahead(mcpu):
    # 28 sums of a vector of weights: A53's took 2.1 cycles for each multiply-add, by A55's model.
    conv = ConvTranspose2d(96, 96, Axis(1, 1, 0, 0), Axis(1, 1, 0, 0))
    target = resolve_target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": mcpu})
    func, tile = function("channels", conv, (1, 14, 14), machine=cpu_machine(target))
    assert tile.vectors > 1 and tile.sums + tile.vectors < 28
    loops = reduction_loops(tvm.compile(func, target).mod.inspect_source("asm"))
    assert loops
    # An address may be on the stack, sums and inputs may not.
    assert all(loop.spills == 0 and 20 * loop.reloads < loop.multiply_adds for loop in loops)


@pytest.mark.parametrize("mcpu", ["cortex-a53", "cortex-a72"])
def test_arm_has_1x1_layers_of_large_maps_in_vectors_of_pixels(mcpu):
    # FSRCNN's 56->12: 0.78 and 1.14 Mcycles by A55's model, 0.83 and 0.92 by that of A72.
    conv = ConvTranspose2d(56, 12, Axis(1, 1, 0, 0), Axis(1, 1, 0, 0))
    target = {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "mcpu": mcpu, "num-cores": 1}
    machine = cpu_machine(resolve_target(target))
    assert choose(conv, Sizes(1, 64, 64), "float32", machine).variant.name == "revd2"
