"""Maps of a quantized network that stay bytes, with the same values to the last bit."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from quick_network import built
from tvm import relax

from tvm_deconv.transform import KeepBytes
from tvm_deconv.transform.graph import dtype_of, op_name

SHAPE = (2, 4, 6, 9)


def dequantized(x, scale=0.3, zero_point=7):
    zero_point = relax.const(zero_point, x.ty.dtype)
    return relax.op.dequantize(x, relax.const(scale, "float32"), zero_point, 0, "float32")


def quantized(x, scale=0.3, zero_point=7, dtype="uint8"):
    scale = relax.const(scale, "float32")
    return relax.op.quantize(x, scale, relax.const(zero_point, dtype), 0, dtype)


def module(*outputs, dtype="uint8"):
    """``main(x, y)`` of bytes, with a result for each function of them."""
    builder = relax.BlockBuilder()
    x, y = (relax.Var(name, relax.TensorType(SHAPE, dtype)) for name in "xy")
    with builder.function("main", [x, y]):
        with builder.dataflow():
            made = [builder.normalize(output(builder.emit, x, y)) for output in outputs]
            result = builder.emit_output(relax.Tuple([builder.emit(value) for value in made]))
        builder.emit_func_output(result)
    return builder.get()


def calls(mod):
    """(operator, dtype of its result) of what is computed, in order."""
    bindings = [b for block in mod["main"].body.blocks for b in block.bindings]
    return [(op_name(b.value).removeprefix("relax."), dtype_of(b.var))
            for b in bindings if op_name(b.value)]  # fmt: skip


def results(mod, dtype="uint8"):
    rng, bounds = np.random.default_rng(0), np.iinfo(dtype)
    arrays = [rng.integers(bounds.min, bounds.max, SHAPE, dtype, endpoint=True) for _ in "xy"]
    return [a.numpy() for a in built(mod)(*map(tvm.runtime.tensor, arrays))]


def pooled(x, pads=1, **options):
    return relax.op.nn.max_pool2d(x, (3, 3), (2, 2), (pads,) * 4, **options)


def enlarged(x, method="nearest_neighbor"):
    return relax.op.image.resize2d(
        x, (12, 18), layout="NCHW", method=method,
        coordinate_transformation_mode="asymmetric", rounding_method="floor",
    )  # fmt: skip


def padded(x, value=0.0, mode="constant"):
    return relax.op.nn.pad(x, (0, 0, 0, 0, 1, 2, 2, 1), mode, value)


MOVES = {
    "reshape": lambda x: relax.op.reshape(x, (2, 4, 54)),
    "permute_dims": lambda x: relax.op.permute_dims(x, [0, 2, 3, 1]),
    "strided_slice": lambda x: relax.op.strided_slice(x, [2], [1], [5], [2]),
    "flip": lambda x: relax.op.flip(x, 3),
    "nn.max_pool2d": pooled,
    "image.resize2d": enlarged,
    "nn.pad": padded,
    "a reflection": lambda x: padded(x, mode="reflect"),
    "a fill that is a byte": lambda x: padded(x, 0.75),
    "concat": lambda x: relax.op.concat([x, x], 1),
}


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_what_only_moves_moves_bytes_with_the_same_result(dtype):
    def moved(name):
        scale = 0.25 if name == "a fill that is a byte" else 0.3
        return lambda emit, x, y: emit(MOVES[name](emit(dequantized(x, scale))))

    mod = module(*map(moved, MOVES), dtype=dtype)
    kept = KeepBytes()(mod)
    assert all(kind == dtype or name == "dequantize" for name, kind in calls(kept))
    for got, expected in zip(results(kept, dtype), results(mod, dtype), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(
    "move",
    [
        lambda x: enlarged(x, "linear"),
        lambda x: padded(x, 0.1),
        lambda x: padded(x, -np.inf),
        lambda x: padded(x, 200.0),
        lambda x: pooled(x, ceil_mode=True),
        lambda x: pooled(x, dilation=2),
        lambda x: relax.op.nn.avg_pool2d(x, (2, 2)),
    ],
    ids=["linear", "no byte", "-inf", "out of range", "ceil", "dilated", "average"],
)
def test_what_makes_new_values_stays_in_float32(move):
    mod = module(lambda emit, x, y: emit(move(emit(dequantized(x)))))
    tvm.ir.assert_structural_equal(KeepBytes()(mod), mod)


def test_scales_of_a_channel_stay():
    scales = relax.const(np.linspace(0.1, 0.4, 4), "float32")
    zeros = relax.const(np.zeros(4), "uint8")
    mod = module(
        lambda emit, x, y: emit(
            relax.op.flip(emit(relax.op.dequantize(x, scales, zeros, 1, "float32")), 3)
        )
    )
    tvm.ir.assert_structural_equal(KeepBytes()(mod), mod)


def concatenated(emit, x, y):
    parts = emit(dequantized(x)), emit(dequantized(y, 0.2))
    return emit(quantized(emit(relax.op.concat(parts, 1))))


def test_a_concatenation_of_unequal_scales_is_quantized_by_part():
    mod = module(concatenated)
    kept = KeepBytes()(mod)
    names = [name for name, _ in calls(kept)]
    assert names == ["dequantize", "quantize", "concat"]
    assert calls(kept)[-1] == ("concat", "uint8")
    np.testing.assert_array_equal(results(kept)[0], results(mod)[0])


def test_a_round_trip_goes_only_if_scale_zero_point_and_type_are_equal():
    mod = module(
        lambda emit, x, y: emit(quantized(emit(dequantized(x)))),
        lambda emit, x, y: emit(quantized(emit(dequantized(x)), 0.2)),
        lambda emit, x, y: emit(quantized(emit(dequantized(x)), zero_point=8)),
        lambda emit, x, y: emit(quantized(emit(dequantized(x)), dtype="int8")),
    )
    kept = KeepBytes()(mod)
    assert [name for name, _ in calls(kept)].count("quantize") == 3
    for got, expected in zip(results(kept), results(mod), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_a_scale_so_small_that_bytes_would_not_come_back_keeps_its_round_trip():
    mod = module(lambda emit, x, y: emit(quantized(emit(dequantized(x, 1e-42)), 1e-42)))
    assert [name for name, _ in calls(KeepBytes()(mod))] == ["dequantize", "quantize"]


def test_readers_have_a_dequantization_of_their_own_and_fuse_with_it():
    def branches(emit, x, y):
        value = emit(dequantized(x))
        half = emit(quantized(emit(relax.op.nn.leakyrelu(value, 0.1)), 0.2))
        total = emit(relax.op.add(value, emit(dequantized(half, 0.2))))
        return emit(quantized(total, 0.5))

    mod = module(branches)
    passes = [KeepBytes(), relax.transform.LegalizeOps(), relax.transform.AnnotateTIROpPattern()]
    fused = tvm.transform.Sequential([*passes, relax.transform.FuseOps()])(mod)
    bindings = [b for block in fused["main"].body.blocks for b in block.bindings]
    kinds = [dtype_of(b.var) for b in bindings if isinstance(b.value, relax.Call)]
    assert kinds == ["uint8"]
    np.testing.assert_array_equal(results(KeepBytes()(mod))[0], results(mod)[0])


def test_a_module_without_bytes_is_handed_back_itself():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType(SHAPE, "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            result = builder.emit_output(relax.op.flip(x, 3))
        builder.emit_func_output(result)
    mod = builder.get()
    assert KeepBytes()(mod).same_as(mod)
