"""What TVM's legalisation is not taken for: padding by copies, and quantization."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
import tvm_ffi
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from quick_network import built, loaded, unoptimised
from relax_helpers import module
from tvm import relax
from tvm.ir import TensorLoad

import tvm_deconv
from tvm_deconv.importer import load
from tvm_deconv.transform import legalize
from tvm_deconv.transform.legalize import legalize_passes


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_reads_the_axes_that_it_leaves_alone_as_they_are(mode):
    def pad(_builder, x):
        return relax.op.nn.pad(x, [0, 0, 0, 0, 3, 1, 0, 2], mode)

    passes = tvm.transform.Sequential(legalize_passes(unoptimised()))
    lowered = passes(module(pad, (2, 3, 5, 7)))
    (func,) = (f for _, f in lowered.functions_items() if isinstance(f, tvm.tirx.PrimFunc))
    loads = []
    tvm_ffi.structural_walk(func.body, (TensorLoad, loads.append))
    # Where no column is in question, and where one is.
    for one in loads:
        plain = [isinstance(index, tvm.ir.Var) for index in one.indices]
        assert plain[:3] == [True, True, False]
    assert len(loads) == 2


@pytest.mark.parametrize("mode", ["reflect", "edge", "wrap", "constant"])
def test_padding_of_a_free_size_is_fused_with_what_reads_it(mode):
    """A size that is named in two ways, h + 2 + 2 and h + 4, stops FuseTIR."""
    net = Net((1, 3, 5, 7), dims=(1, 3, "h", "w"))
    padded = net("Pad", "x", net.integers(0, 0, 2, 3, 0, 0, 2, 1), mode=mode)
    proto = net.model(net("InstanceNormalization", padded, net.constant(3), net.constant(3)))
    proto.opset_import[0].version = 19
    target = unoptimised()
    with target:
        tvm_deconv.pipeline(target)(load(proto))


def test_padding_of_a_free_size_is_fused_with_a_shuffle_behind_it():
    """TVM names its height h - 5, and the shuffle h - 7 + 2."""
    net = Net((1, 3, 9, 11), dims=(1, 3, "h", "w"))
    pads = [0, 0, 1, 1, 0, 0, 1, 1]
    maps = net.conv("x", 3, 8, 8, pads=[0] * 4)
    padded = net("Pad", maps, net.integers(*pads), net.given(np.array(1.5, "float32")))
    proto = net.model(net("DepthToSpace", padded, blocksize=2))
    assert_same_as_onnx_runtime(proto, (1, 3, 9, 11), (1, 3, 8, 12), atol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16"])
def test_what_is_not_a_number_is_stored_as_the_least_integer(dtype):
    """As in ONNX Runtime; in a register, too, where bytes are read again before they are stored."""
    factor, zero = relax.const(0.5, "float32"), relax.const(7, dtype)

    def rounded(_builder, x):
        stored = relax.op.quantize(x, factor, zero, 0, dtype)
        return relax.op.dequantize(stored, factor, zero, 0, "float32")

    x = np.full(37, np.nan, "float32")
    x[1:3] = np.inf, -np.inf
    x[3:] = np.linspace(-3, 3, 34)
    executable = tvm_deconv.compile(module(rounded, x.shape), log=None)
    main = relax.VirtualMachine(executable, tvm.cpu())["main"]
    limits = np.iinfo(dtype)
    least, most = ((end - 7) * np.float32(0.5) for end in (limits.min, limits.max))
    expected = np.where(np.isnan(x), least, np.clip(np.rint(x / 0.5) * 0.5, least, most))
    np.testing.assert_array_equal(main(tvm.runtime.tensor(x)).numpy(), expected)


def test_halves_are_divided_in_single_precision():
    factor, zero = relax.const(0.1, "float16"), relax.const(3, "int8")
    x = np.linspace(-9, 9, 999).astype("float16")
    stored = module(
        lambda _, x: relax.op.quantize(x, factor, zero, 0, "int8"), x.shape, dtype="float16"
    )
    main = loaded(tvm_deconv.compile(stored, unoptimised(), log=None))
    expected = np.rint(x.astype("float32") / np.float32(np.float16(0.1))) + 3
    np.testing.assert_array_equal(main(tvm.runtime.tensor(x)).numpy(), expected)


def test_concatenations_of_the_same_sizes_are_made_once(monkeypatch):
    """Of other sizes, another axis or another type they are functions of their own."""
    made = []
    stock = legalize._stock
    monkeypatch.setattr(legalize, "_stock", lambda *given: made.append(1) or stock(*given))

    def dense(builder, x):
        bytes_ = builder.emit(relax.op.astype(x, "int8"))
        for axis, other in ((1, x), (1, x), (2, x), (1, bytes_), (1, bytes_)):
            joined = builder.emit(relax.op.concat([other, other], axis))
            builder.emit(relax.op.sum(joined))
        again = builder.emit(relax.op.concat([x, x], 1))
        return relax.op.concat([again, x], 1)

    mod = tvm.transform.Sequential(legalize_passes(unoptimised()))(module(dense, (1, 3, 3, 5)))
    assert len(made) == 4
    x = np.arange(45, dtype="float32").reshape(1, 3, 3, 5)
    result = built(mod)(tvm.runtime.tensor(x)).numpy()
    np.testing.assert_array_equal(result, np.concatenate([x, x, x], axis=1))
