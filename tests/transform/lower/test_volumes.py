"""Convolutions over volumes by the kernels for pictures, held against PyTorch in float64."""

from __future__ import annotations

import numpy as np
import pytest
import quick_network
import torch
import torch.nn.functional as tf
import tvm
from relax_helpers import constant, module
from torch import nn
from tvm import relax

import tvm_deconv
from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.algebra.volumes import ConvTranspose3d
from tvm_deconv.compiler import before_schedules
from tvm_deconv.importer import load
from tvm_deconv.options import Options
from tvm_deconv.schedules.machines import variant_names
from tvm_deconv.targets import resolve_target

HOST = resolve_target("host")


class Layer:
    """A random layer: how Relax writes it, its input, and PyTorch's result."""

    def __init__(self, rng: np.random.Generator, *, transposed: bool, most: int = 3):
        def some(low, high):
            return [int(n) for n in rng.integers(low, high + 1, 3)]

        groups, kernel, dilation = int(rng.integers(1, 3)), some(1, 3), some(1, 2)
        c, o = groups * int(rng.integers(1, 3)), groups * int(rng.integers(1, most + 1))
        reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        begin, end = ([int(rng.integers(0, r + 1)) for r in reach] for _ in range(2))
        size = [r + int(rng.integers(1, 9)) for r in reach]
        self.x = rng.standard_normal((int(rng.integers(1, 3)), c, *size))
        self.attributes = {"padding": begin + end, "dilation": dilation, "groups": groups}
        x = torch.from_numpy(self.x)
        if transposed:
            self.operator, stride = relax.op.nn.conv3d_transpose, some(1, 3)
            extra = [int(rng.integers(0, s)) for s in stride]
            self.attributes |= {"strides": stride, "output_padding": extra}
            self.weight = rng.standard_normal((c, o // groups, *kernel))
            y = tf.conv_transpose3d(
                x, torch.from_numpy(self.weight), stride=stride, dilation=dilation, groups=groups
            ).numpy()
            y = np.pad(y, [(0, 0), (0, 0), *((0, e) for e in extra)])
            ends = [n - e for n, e in zip(y.shape[2:], end, strict=True)]
            front, top, left = (slice(b, e) for b, e in zip(begin, ends, strict=True))
            self.y = y[:, :, front, top, left]
        else:
            self.operator = relax.op.nn.conv3d
            self.weight = rng.standard_normal((o, c // groups, *kernel))
            wide = np.pad(self.x, [(0, 0), (0, 0), *zip(begin, end, strict=True)])
            self.y = tf.conv3d(
                torch.from_numpy(wide),
                torch.from_numpy(self.weight),
                dilation=dilation,
                groups=groups,
            ).numpy()

    def emit(self, builder: relax.BlockBuilder, x: relax.Var) -> relax.Var:
        weight = constant(self.weight.astype(str(x.ty.dtype)))
        return builder.emit(self.operator(x, weight, **self.attributes))


def run(main, *inputs: np.ndarray) -> list[np.ndarray]:
    results = main(*map(tvm.runtime.tensor, inputs))
    return [r.numpy() for r in ([results] if hasattr(results, "numpy") else results)]


def assert_all_ours(model) -> None:
    kernels = tvm_deconv.explain(model, log=None).kernels
    assert kernels and all(kernel.variant for kernel in kernels), kernels


def assert_computed(layers: list[Layer], dtype: str = "float32", **options) -> None:
    """All layers as one module, compiled once."""
    builder = relax.BlockBuilder()
    inputs = [relax.Var(f"x{i}", relax.TensorType(a.x.shape, dtype)) for i, a in enumerate(layers)]
    with builder.function("main", inputs):
        with builder.dataflow():
            results = [a.emit(builder, x) for a, x in zip(layers, inputs, strict=True)]
            output = builder.emit_output(relax.Tuple(results))
        builder.emit_func_output(output)
    mod = builder.finalize()
    assert_all_ours(mod)
    found = run(quick_network.compiled(mod, **options), *(a.x.astype(dtype) for a in layers))
    for layer, y in zip(layers, found, strict=True):
        assert y.shape == layer.y.shape, layer.attributes
        error = np.abs(y - layer.y).max() / np.abs(layer.y).max()
        assert error < (1e-2 if dtype == "float16" else 1e-5), (layer.attributes, error)


@pytest.mark.parametrize("seed", range(2))
def test_random_layers_are_exact_whatever_their_strides_paddings_and_groups(seed):
    rng = np.random.default_rng(seed)
    assert_computed([Layer(rng, transposed=i % 3 > 0) for i in range(8)])


@pytest.mark.parametrize("variant", variant_names())
def test_every_variant_computes_volumes(variant):
    rng = np.random.default_rng(7)
    assert_computed([Layer(rng, transposed=t, most=9) for t in (False, True)], variant=variant)


def test_layers_of_half_precision():
    rng = np.random.default_rng(1)
    assert_computed([Layer(rng, transposed=t) for t in (False, True)], "float16")


def test_phases_that_no_tap_reaches_are_zero():
    layer = Layer(np.random.default_rng(0), transposed=True)
    layer.x = np.random.default_rng(0).standard_normal((1, 2, 3, 3, 5))
    layer.weight = np.random.default_rng(1).standard_normal((2, 2, 1, 2, 3))
    layer.attributes = {"strides": [3, 2, 3], "output_padding": [1, 0, 0]}
    y = tf.conv_transpose3d(
        torch.from_numpy(layer.x),
        torch.from_numpy(layer.weight),
        stride=(3, 2, 3),
        output_padding=(1, 0, 0),
    )
    layer.y = y.numpy()
    assert_computed([layer])


class Residual(nn.Module):
    """What is stored with a layer: bias, norm, slopes, a residual and a number per column."""

    def __init__(self):
        super().__init__()
        self.conv, self.up = nn.Conv3d(4, 4, 3, padding=1), nn.ConvTranspose3d(4, 2, 3, 2, 1, 1)
        self.norm, self.slopes = nn.BatchNorm3d(4), nn.PReLU(4)
        self.after = nn.Conv3d(2, 2, 3, padding=1, bias=False)

    def forward(self, x):
        y = self.up(self.slopes(self.norm(self.conv(x))) + x)
        return torch.sigmoid(self.after(y)) * y


@pytest.fixture(scope="module")
def residual():
    torch.manual_seed(0)
    net = Residual().eval()
    nn.init.normal_(net.norm.running_mean)
    return net


def kernels(model) -> list[str]:
    """What the virtual machine calls for ``model``, in order."""
    with HOST:
        mod = tvm.transform.Sequential(before_schedules(HOST, Options(log=None)))(load(model))
    values = [b.value for block in mod["main"].body.blocks for b in block.bindings]
    calls = [v for v in values if getattr(v, "op", None) in CALLS]
    return [call.args[0].name_hint for call in calls]


CALLS = [tvm.ir.Op.get(f"relax.{name}") for name in ("call_tir", "call_tir_inplace")]


def test_what_follows_a_layer_is_stored_with_it(residual):
    called = kernels(torch.export.export(residual, (torch.randn(2, 4, 4, 5, 6),)))
    assert len(called) == 4 and all("conv3d" in name for name in called), called


def test_free_sizes_are_computed_by_the_same_kernels(residual):
    names = {0: "n", 2: "d", 3: "h", 4: "w"}
    free = {axis: torch.export.Dim(name, min=1, max=99) for axis, name in names.items()}
    x = torch.randn(2, 4, 4, 5, 6)
    program = torch.export.export(residual, (x,), dynamic_shapes={"x": free})
    assert_all_ours(program)
    built = quick_network.compiled(program)
    for shape in ((2, 4, 4, 5, 6), (1, 4, 1, 3, 34), (3, 4, 7, 2, 3)):
        x = torch.randn(shape)
        (y,) = run(built, x.numpy())
        np.testing.assert_allclose(y, residual(x).detach().numpy(), rtol=0, atol=2e-6)


def test_rows_between_slices_are_zero_however_wide_a_volume_is():
    # Of wide rows Winograd's form deals out vectors right from the input.
    torch.manual_seed(0)
    net = nn.Conv3d(2, 3, 3, padding=1).eval()
    x = torch.randn(1, 2, 4, 5, 200)
    free = {2: torch.export.Dim("d", min=1, max=99)}
    program = torch.export.export(net, (x,), dynamic_shapes={"input": free})
    (y,) = run(quick_network.compiled(program, variant="winograd"), x.numpy())
    np.testing.assert_allclose(y, net(x).detach().numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "varies, expected",
    [((1, 3, 1, 1, 1), 1), ((3, 1, 1, 1), 1), ((1, 1, 1, 1, 6), 1), ((1, 1, 4, 1, 1), 2)],
    ids=["channel", "channel, short", "column", "depth"],
)
def test_a_constant_is_stored_with_a_layer_unless_it_varies_along_rows(varies, expected):
    rng = np.random.default_rng(0)
    weight, values = rng.standard_normal((3, 2, 1, 1, 1)), rng.standard_normal(varies)

    def body(builder, x):
        y = builder.emit(relax.op.nn.conv3d(x, constant(weight.astype("float32"))))
        return builder.emit(relax.op.multiply(y, constant(values.astype("float32"))))

    mod, x = module(body, (1, 2, 4, 5, 6)), rng.standard_normal((1, 2, 4, 5, 6))
    (y,) = run(quick_network.compiled(mod), x.astype("float32"))
    plain = np.einsum("ncdhw,oc->nodhw", x, weight[:, :, 0, 0, 0])
    np.testing.assert_allclose(y, plain * values, atol=1e-5)
    assert len(kernels(mod)) == expected


WEIGHT = np.ones((4, 4, 3, 3, 3), "float32")


@pytest.mark.parametrize(
    "dtype, layer, reason",
    [
        ("float32", lambda x: relax.op.nn.conv3d(x, constant(WEIGHT), strides=2), "stride of"),
        (
            "float32",
            lambda x: relax.op.nn.conv3d(x, constant(WEIGHT), data_layout="NDHWC"),
            "has layouts NDHWC and OIDHW",
        ),
        ("float64", lambda x: relax.op.nn.conv3d(x, constant(WEIGHT.astype("float64"))), "float64"),
        ("float32", lambda x: relax.op.nn.conv3d(x, relax.op.add(x, x)), "weights that are not"),
        (
            "float32",
            lambda x: relax.op.nn.conv3d(x, constant(WEIGHT), padding=3),
            "begin padding 3 is larger than the reach 2",
        ),
    ],
    ids=["stride", "layout", "float64", "weights computed", "padding"],
)
def test_what_is_left_to_tvm_has_a_reason(dtype, layer, reason):
    mod = module(lambda b, x: b.emit(b.normalize(layer(x))), (4, 4, 4, 4, 4), dtype)
    (kernel,) = tvm_deconv.explain(mod, log=None).kernels
    assert not kernel.variant and reason in kernel.reason, kernel


def test_a_gpu_leaves_volumes_to_tvm_by_name():
    mod = module(lambda b, x: b.emit(relax.op.nn.conv3d(x, constant(WEIGHT))), (1, 4, 4, 4, 4))
    (kernel,) = tvm_deconv.explain(mod, log=None, target="nvidia/jetson-orin-nano").kernels
    assert "three dimensions" in kernel.reason


def test_explain_names_the_size_and_the_phase():
    layer = Axis(3, 2, 1, 1, 1)
    volume = ConvTranspose3d(4, 4, layer, layer, layer)
    attributes = {"strides": 2, "padding": 1, "output_padding": 1}
    operator = relax.op.nn.conv3d_transpose
    mod = module(lambda b, x: b.emit(operator(x, constant(WEIGHT), **attributes)), (2, 4, 5, 6, 7))
    whats = [kernel.what for kernel in tvm_deconv.explain(mod, log=None).kernels]
    words = "conv3d_transpose 3x3x3 stride 2, 4->4, 5x6x7, batch 2, depth phase"
    assert whats == [f"{words} 0 of 2", f"{words} 1 of 2"]
    assert [stack.conv.in_channels for stack in volume.stacks()] == [4, 8]
