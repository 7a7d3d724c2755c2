"""Whole networks compiled for GPUs: executed on PoCL, equal to ONNX Runtime, within limits."""

from __future__ import annotations

import json
import re

import numpy as np
import onnx
import onnxruntime
import opencl
import pytest
import tvm
from numpy.lib.stride_tricks import sliding_window_view
from onnx_net import Net
from small_networks import deconvolved, leftovers, resized, sub_pixel
from tvm import relax, te, tirx
from tvm.s_tir import Schedule
from tvm.target import Target

import tvm_deconv
from tvm_deconv import metadata
from tvm_deconv.backends import LibraryDevice, backend_of
from tvm_deconv.backends.gpu.limits import demands
from tvm_deconv.backends.passes import CheckLimits
from tvm_deconv.errors import ModelError, TargetError
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import LowerConvolutions, RewriteUpsampling
from tvm_deconv.transform.lower.convolutions import VARIANT_ATTRIBUTE

# Of the largest value: up to five layers, sums of up to 300 products in another order.
TOLERANCE = {"float32": 5e-6, "float16": 2e-3}

MALI = {"kind": "opencl", "device": "mali"}
ADRENO = {"kind": "opencl", "device": "adreno"}
SM_87 = {"kind": "cuda", "arch": "sm_87"}


def expected(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x})[0]


def picture(model: onnx.ModelProto, *shape: int) -> np.ndarray:
    (x,) = model.graph.input
    dtype = onnx.helper.tensor_dtype_to_np_dtype(x.type.tensor_type.elem_type)
    fixed = tuple(dim.dim_value for dim in x.type.tensor_type.shape.dim)
    return (np.random.default_rng(3).random(shape or fixed) - 0.3).astype(dtype)


def network(model: onnx.ModelProto, spec, **options) -> opencl.Network:
    target = resolve_target(spec)
    passes = tvm_deconv.pipeline(target, **options)
    return opencl.Network(tvm_deconv.importer.load(model), target, passes)


def check(built: opencl.Network, model: onnx.ModelProto, x: np.ndarray) -> None:
    (found,) = built.run(x)
    wanted = expected(model, x)
    assert found.dtype == wanted.dtype
    error = np.abs(found.astype("float64") - wanted).max() / np.abs(wanted).max()
    assert error <= TOLERANCE[str(x.dtype)]


@opencl.required
@pytest.mark.parametrize(
    ("make", "spec"), [(sub_pixel, MALI), (resized, ADRENO), (leftovers, MALI)]
)
def test_a_network_equals_onnx_runtime(make, spec):
    model = make()
    check(network(model, spec), model, picture(model))


@opencl.required
def test_one_compilation_serves_every_size():
    model = deconvolved(dims=("n", 6, "h", "w"))
    built = network(model, MALI)
    for size in ((1, 1), (4, 23)):
        check(built, model, picture(model, 2, 6, *size))


@opencl.half_required
def test_a_network_of_float16_equals_onnx_runtime():
    model = sub_pixel(dtype="float16")
    check(network(model, MALI), model, picture(model))


@opencl.required
def test_every_launch_keeps_to_limits_that_the_user_lowers():
    model = sub_pixel()
    low = {"max_threads_per_block": 32, "max_num_threads": 32, "max_shared_memory_per_block": 2048}
    built = network(model, {**ADRENO, **low})
    check(built, model, picture(model))
    assert max(np.prod(launch.block) for launch in built.launches) <= 32
    assert max(launch.shared_bytes for launch in built.launches) <= 2048


@opencl.required
def test_our_passes_stand_in_tvms_own_pipeline_for_gpus():
    model, target = deconvolved(), resolve_target(MALI)
    passes = [RewriteUpsampling(), relax.transform.FoldConstant(), LowerConvolutions(target)]
    mod = tvm.transform.Sequential(passes)(tvm_deconv.importer.load(model))
    check(opencl.Network(mod, target), model, picture(model))


def test_a_network_that_is_not_rewritten_moves_its_picture_in_a_kernel_of_its_own():
    target = resolve_target(MALI)
    mod = tvm_deconv.pipeline(target, rewrite=False)(tvm_deconv.importer.load(sub_pixel()))
    assert "shuffle" in {name.name_hint for name in mod.get_global_vars()}


@pytest.mark.parametrize("spec", [SM_87, MALI], ids=["cuda", "mali"])
@pytest.mark.parametrize("dims", [None, ("n", 3, "h", "w")], ids=["fixed", "free"])
def test_convolutions_get_our_variants_and_the_rest_the_rules_of_dlight(spec, dims):
    target = resolve_target(spec)
    refusal = backend_of(target).refusal
    model = resized(dims=dims)
    mod = tvm_deconv.pipeline(target)(tvm_deconv.importer.load(model))
    functions = [f for _, f in mod.functions_items() if isinstance(f, tirx.PrimFunc)]
    # TVM computes free sizes on the host.
    kernels = [func for func in functions if "tirx.is_host_func" not in func.attrs]
    assert sum(VARIANT_ATTRIBUTE in func.attrs for func in kernels) == 4
    assert all(func.attrs["tirx.is_scheduled"] for func in kernels)
    assert all(refusal(func, target) is None and demands(func, target) for func in kernels)


@pytest.mark.parametrize(("spec", "kind"), [(SM_87, "cuda"), (MALI, "opencl")])
def test_an_executable_holds_device_code_and_says_for_which_device(spec, kind):
    executable = tvm_deconv.compile(sub_pixel(), spec)
    (host,) = executable.mod.imports
    assert [part.kind for part in host.imports] == [kind]
    assert "conv2d_transpose" in host.imports[0].inspect_source()
    (description,) = re.findall(r'(\{"format": 1.*\}\})', executable.stats())
    assert metadata.parse(description).device == LibraryDevice(kind, spec.get("arch", ""))


def test_a_library_of_before_there_were_gpus_is_for_the_cpu():
    text = json.dumps({"format": 1, "inputs": [], "outputs": []})
    assert metadata.parse(text).device == LibraryDevice("cpu")


@pytest.mark.parametrize("spec", [SM_87, MALI, "arm/mali-g610", "nvidia/jetson-nano"])
def test_explain_names_the_variant_and_its_parameters(spec):
    rewritten, *_ = tvm_deconv.explain(sub_pixel(), target=spec).kernels[-1:]
    assert rewritten.what == "conv2d_transpose 15x15 stride 3, 12->1, 7x9" or rewritten.variant
    assert "column_threads=" in rewritten.parameters
    assert rewritten.reason.startswith("machine model: ")


@pytest.mark.parametrize("call", [tvm_deconv.compile, tvm_deconv.explain])
def test_threads_of_a_gpu_are_refused(call):
    with pytest.raises(TargetError, match="threads are those of a CPU: cuda takes none"):
        call("no such file", target=SM_87, threads=4)


def moved(threads: int, *, shared: int = 0, rows: int = 1, arguments: int = 1) -> tirx.PrimFunc:
    """Adds tensors, through shared memory if asked, ``threads`` a block, ``rows`` along y."""
    inputs = [te.placeholder((rows, 4096), "float32", name=f"x{i}") for i in range(arguments)]
    total = te.compute((rows, 4096), lambda i, j: sum(x[i, j] for x in inputs), name="total")
    schedule = Schedule(te.create_prim_func([*inputs, total]))
    block = schedule.get_sblock("total")
    row, column = schedule.get_loops(block)
    outer, thread = schedule.split(column, [None, threads])
    schedule.bind(row, "blockIdx.y")
    schedule.bind(outer, "blockIdx.x")
    if shared:
        copy = schedule.cache_read(block, 0, "shared")
        schedule.compute_at(copy, outer)
        *_, fused = schedule.get_loops(copy)
        _, part = schedule.split(fused, [None, threads])
        schedule.bind(part, "threadIdx.x")
    schedule.bind(thread, "threadIdx.x")
    return schedule.mod["main"].with_attr("tirx.is_scheduled", True)


MISFITS = [
    (MALI, moved(512), "512 threads a block; mali has 256"),
    (MALI, moved(256, shared=1), None),
    ({**MALI, "max_shared_memory_per_block": 512}, moved(256, shared=1), "1024 bytes of shared"),
    ({**SM_87, "max_threads_per_block": 128}, moved(256), "256 threads a block; sm_87 has 128"),
    (SM_87, moved(256, rows=65536), "65536 along blockIdx.y; sm_87 has 65535"),
    (MALI, moved(256, rows=65536), None),
    ({**MALI, "max_function_args": 4}, moved(64, arguments=4), "5 arguments; mali takes 4"),
    ({**MALI, "max_function_args": 5}, moved(64, arguments=4), None),
]


@pytest.mark.parametrize(("spec", "func", "reason"), MISFITS)
def test_a_kernel_that_the_device_would_not_start_is_refused_before_it_is_built(spec, func, reason):
    mod = tvm.IRModule({"moved": func})
    passes = CheckLimits(resolve_target(spec))
    if reason is None:
        passes(mod)
    else:
        with pytest.raises(TargetError, match=f"kernel moved does not fit .*: it takes {reason}"):
            passes(mod)


def test_a_model_with_a_scheduled_kernel_that_does_not_fit_is_refused():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 4096), "float32"))
    with builder.function("main", [x]):
        with builder.dataflow():
            func = moved(512).without_attr("global_symbol")
            kernel = builder.add_func(func, "moved")
            output = builder.emit_output(relax.call_tir(kernel, [x], x.ty))
        builder.emit_func_output(output)
    with pytest.raises(TargetError, match=r"^kernel moved does not fit .* 512 threads"):
        tvm_deconv.compile(builder.finalize(), MALI)


def test_a_network_that_does_not_fit_the_device_is_our_error_with_its_numbers():
    narrow = {**MALI, "max_function_args": 3}
    reason = "^no GPU schedule for .*: .*Fallback takes 4 arguments; mali takes 3$"
    with pytest.raises(ModelError, match=reason):
        tvm_deconv.compile(leftovers(), narrow)


def product(size: int) -> tirx.PrimFunc:
    a, b = (te.placeholder((size, size), "float32", name=name) for name in "ab")
    k = te.reduce_axis((0, size), "k")
    total = te.compute((size, size), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="total")
    return te.create_prim_func([a, b, total])


@pytest.mark.parametrize("threads", [256, 16])
def test_the_first_rule_of_dlight_whose_kernels_fit_is_taken(threads):
    target = resolve_target({**MALI, "max_threads_per_block": threads, "max_num_threads": threads})
    func = backend_of(target).default_schedule(product(64), target, "product")
    (*_, sums) = demands(func, target)
    assert 1 < sums.threads <= threads


def test_a_function_that_no_rule_fits_is_a_model_error():
    target = Target({**SM_87, "max_threads_per_block": 0, "max_num_threads": 0})
    with pytest.raises(ModelError, match=r"no GPU schedule for product: .*Fallback"):
        backend_of(target).default_schedule(product(64), target, "product")


@opencl.required
def test_a_maximum_of_nothing_but_infinities_is_infinite_and_has_a_place():
    net = Net((2, 3, 6, 70))
    places = net("Cast", net("ArgMax", "x", axis=3, keepdims=0), to=onnx.TensorProto.FLOAT)
    pooled = net("MaxPool", "x", kernel_shape=[3, 3], pads=[1, 0, 0, 1])
    model = net.model(places, pooled, net("ReduceMin", net("Neg", "x"), axes=[3], keepdims=0))
    x = np.random.default_rng(0).standard_normal(net.shape).astype("float32")
    x[0], x[1, 0, :4, :9] = -np.inf, -np.inf
    padded = np.pad(x, ((0, 0), (0, 0), (1, 0), (0, 1)), constant_values=-np.inf)
    windows = sliding_window_view(padded, (3, 3), (2, 3))
    wanted = [x.argmax(3).astype("float32"), windows.max((-2, -1)), (-x).min(3)]
    for got, expected_one in zip(network(model, MALI).run(x), wanted, strict=True):
        np.testing.assert_array_equal(got, expected_one)


def test_a_softmax_is_split_among_threads():
    """TVM does not split a reduction that begins at -inf."""
    net, target = Net((2, 6, 70)), resolve_target(MALI)
    model = net.model(net("Softmax", "x"))
    mod = tvm_deconv.pipeline(target)(tvm_deconv.importer.load(model))
    assert 'scope="shared"' in mod["softmax"].script()
