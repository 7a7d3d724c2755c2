"""The pipeline and the single call compile whole networks that equal ONNX Runtime's."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import tvm
from onnx import TensorProto, helper, numpy_helper
from onnx_net import Net
from paths import MODELS
from tvm import relax

import tvm_deconv
from tvm_deconv.errors import ModelError, TargetError, VariantError
from tvm_deconv.schedules.choice import Row
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.transform.lower.convolutions import VARIANT_ATTRIBUTE

# Both sum the same float32 products, up to 1600 of them, in different orders.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def run(executable, *inputs: np.ndarray):
    main = relax.VirtualMachine(executable, tvm.cpu())["main"]
    result = main(*(tvm.runtime.tensor(value) for value in inputs))
    if isinstance(result, tvm.runtime.Tensor):
        return result.numpy()
    return [tensor.numpy() for tensor in result]


def reference(model: Path | onnx.ModelProto, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return onnxruntime.InferenceSession(source).run(None, feed)


def plane(height=20, width=31, batch=1, channels=1, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).random((batch, channels, height, width), np.float32)


def two_inputs_and_outputs() -> onnx.ModelProto:
    """Two pictures, given in the order b, a; a strided and a pooled branch, an upsampling one."""
    rng = np.random.default_rng(1)
    sizes = {"down": (4, 3, 3, 3), "up": (12, 4, 3, 3)}
    weights = [
        numpy_helper.from_array(rng.normal(0, 0.2, size).astype(np.float32), name)
        for name, size in sizes.items()
    ]
    nodes = [
        helper.make_node("Sub", ["a", "b"], ["d"]),
        helper.make_node("Conv", ["d", "down"], ["s"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("MaxPool", ["s"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Conv", ["s", "up"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2, mode="DCR"),
    ]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in [
            ("b", ["n", 3, "h", "w"]),
            ("a", ["n", 3, "h", "w"]),
            ("y", None),
            ("p", None),
        ]
    ]
    graph = helper.make_graph(nodes, "net", ends[:2], ends[2:], weights)
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


@pytest.mark.parametrize("rewrite", [True, False])
@pytest.mark.parametrize("name", ["espcn_x3", "resize_x3"])
def test_a_demo_network_of_fixed_shape_equals_onnx_runtime(name, rewrite):
    path, low = MODELS / f"{name}.onnx", plane()
    executable = tvm_deconv.compile(path, shapes={"luma": low.shape}, rewrite=rewrite)
    (wanted,) = reference(path, {"luma": low})
    np.testing.assert_allclose(run(executable, low), wanted, **TOLERANCE)


@pytest.mark.parametrize("name", ["espcn_x3", "resize_x3"])
def test_one_compilation_of_a_demo_network_serves_every_size(name):
    path = MODELS / f"{name}.onnx"
    executable = tvm_deconv.compile(path)
    for size in ((1, 1), (17, 31), (40, 24)):
        low = plane(*size, batch=2)
        (wanted,) = reference(path, {"luma": low})
        np.testing.assert_allclose(run(executable, low), wanted, **TOLERANCE)


def test_the_pipeline_serves_relax_build_as_its_own():
    path, low = MODELS / "espcn_x3.onnx", plane(9, 11)
    mod = tvm_deconv.importer.load(path, {"luma": low.shape})
    target = tvm_deconv.targets.resolve_target("host")
    executable = relax.build(mod, target, relax_pipeline=tvm_deconv.pipeline(target))
    (wanted,) = reference(path, {"luma": low})
    np.testing.assert_allclose(run(executable, low), wanted, **TOLERANCE)


@pytest.mark.parametrize(
    ("name", "kernel"),
    [("espcn_x3", "shuffle"), ("resize_x3", "resize2d")],
)
def test_only_the_baseline_moves_the_picture_in_a_kernel_of_its_own(name, kernel):
    mod = tvm_deconv.importer.load(MODELS / f"{name}.onnx", {"luma": (1, 1, 20, 31)})
    for rewrite in (True, False):
        result = tvm_deconv.pipeline("host", rewrite=rewrite)(mod)
        kernels = {var.name_hint for var in result.get_global_vars()} - {"main"}
        convolutions = {
            var.name_hint
            for var, func in result.functions_items()
            if func.attrs is not None and VARIANT_ATTRIBUTE in func.attrs
        }
        assert kernels - convolutions == (set() if rewrite else {kernel})


@pytest.mark.parametrize("shapes", [None, {"a": (2, 3, 16, 20), "b": (2, 3, 16, 20)}])
def test_inputs_and_outputs_keep_the_order_of_the_model(shapes):
    model = two_inputs_and_outputs()
    b, a = (plane(16, 20, 2, 3, seed) for seed in (5, 6))
    results = run(tvm_deconv.compile(model, shapes=shapes), b, a)
    for result, wanted in zip(results, reference(model, {"a": a, "b": b}), strict=True):
        np.testing.assert_allclose(result, wanted, **TOLERANCE)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PyTorch's own, inside torch.export
def test_an_exported_program_equals_pytorch():
    torch.manual_seed(3)
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, padding=1),
        torch.nn.PReLU(16),
        torch.nn.Upsample(scale_factor=2, mode="nearest"),
        torch.nn.Conv2d(16, 12, 3, padding=1),
        torch.nn.PixelShuffle(2),
    ).eval()
    low = torch.rand(1, 3, 10, 14)
    executable = tvm_deconv.compile(torch.export.export(network, (low,)))
    with torch.no_grad():
        wanted = network(low).numpy()
    np.testing.assert_allclose(run(executable, low.numpy()), wanted, **TOLERANCE)


@pytest.mark.parametrize("threads", [0, -1, 1.5, "a", [2]])
@pytest.mark.parametrize("call", [tvm_deconv.compile, tvm_deconv.explain])
def test_threads_are_a_positive_number(call, threads):
    model = two_inputs_and_outputs()
    with pytest.raises(TargetError, match=re.escape(f"positive integer, got {threads!r}")):
        call(model, threads=threads)
    with pytest.raises(TargetError, match="positive integer"):
        tvm_deconv.threads.use_threads(threads)


def test_more_threads_than_any_machine_has_are_refused():
    with pytest.raises(TargetError, match="threads must be at most 4096, got 1099511627776"):
        tvm_deconv.compile(two_inputs_and_outputs(), threads=1 << 40)


def test_the_threads_that_schedules_count_on_can_be_said():
    low = plane(9, 11)
    path = MODELS / "espcn_x3.onnx"
    executable = tvm_deconv.compile(path, shapes={"luma": low.shape}, threads=3)
    (wanted,) = reference(path, {"luma": low})
    np.testing.assert_allclose(run(executable, low), wanted, **TOLERANCE)


def test_a_compiled_module_is_not_changed():
    mod = tvm_deconv.importer.load(MODELS / "espcn_x3.onnx")
    before = mod.clone()
    tvm_deconv.compile(mod)
    tvm.ir.assert_structural_equal(mod, before)


def test_what_tvm_cannot_compile_is_a_model_error_with_its_cause():
    x = relax.Var("x", relax.TensorType(None, "float32", ndim=4))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        builder.emit_func_output(builder.emit(relax.op.nn.max_pool2d(x)))
    with pytest.raises(ModelError, match=r"TVM cannot compile this model: .*max_pool2d") as caught:
        tvm_deconv.compile(builder.get())
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("call", [tvm_deconv.pipeline, lambda t: tvm_deconv.compile("x", t)])
@pytest.mark.parametrize(
    ("target", "reason"), [("pdp-11", "unknown target"), ('{"kind": "vulkan"}', "vulkan")]
)
def test_an_unusable_target_is_refused_before_any_work(call, target, reason):
    with pytest.raises(TargetError, match=reason):
        call(target)


@pytest.mark.parametrize("call", [tvm_deconv.compile, tvm_deconv.explain])
def test_an_unknown_variant_is_refused_before_any_work(call):
    with pytest.raises(VariantError, match="unknown variant 'fft': give one of auto, "):
        call("no such file", variant="fft")
    with pytest.raises(VariantError, match=r"unknown variant \['tdc'\]: give one of auto, "):
        call("no such file", variant=["tdc"])


class OneRow:
    """A tuning log in memory that says REVD2 with strips of one row for every layer."""

    def __init__(self):
        self.asked = []

    def lookup(self, conv, sizes, dtype):
        self.asked.append((sizes, dtype))
        revd2 = VARIANTS["revd2"]
        machine = cpu_machine(tvm_deconv.targets.resolve_target("host"))
        parameters = dataclasses.replace(revd2.choose(conv, sizes, machine), rows=1)
        return [Row("revd2", parameters, "tuning log")]


def test_a_tuning_log_decides_for_each_layer():
    path, low, log = MODELS / "espcn_x3.onnx", plane(), OneRow()
    options = {"shapes": {"luma": low.shape}, "log": log}
    for kernel in tvm_deconv.explain(path, **options).kernels:
        assert (kernel.variant, kernel.reason) == ("revd2", "tuning log")
        assert " rows=1 " in kernel.parameters
    # Once for each kind of layer: three convolutions, and what the last of them is rewritten to.
    assert log.asked == [((1, 20, 31), "float32")] * 4
    (wanted,) = reference(path, {"luma": low})
    np.testing.assert_allclose(run(tvm_deconv.compile(path, **options), low), wanted, **TOLERANCE)
    assert log.asked == [((1, 20, 31), "float32")] * 8


def test_a_report_is_plain_data_too():
    model = two_inputs_and_outputs()
    options = {"target": "raspberry-pi/4b-aarch64", "max_weight_growth": None}
    plain = tvm_deconv.explain(model, **options).as_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["weights"]["most"] is None
    strided, shuffled = plain["kernels"]
    assert (strided["variant"], strided["parameters"]) == ("", "")
    assert strided["what"] == "conv2d 3x3 stride 2, 3->4, h x w, any batch"
    assert strided["reason"] == (
        "relax.nn.conv2d (s) has strides and sums of 27 products, fewer than 48"
    )
    assert shuffled["what"].startswith("conv2d_transpose 6x6 stride 2, 4->3, ")
    assert shuffled["parameters"].startswith("lanes=4 ")


def test_equal_kernels_share_an_entry_of_the_report():
    net = Net((2, 6, 9, 14))
    x = net("Relu", net.conv("x", 6, 6, group=2, dilations=[2, 2]))
    for _ in range(2):
        x = net.conv(x, 6, 6)
    *_, kernels = str(tvm_deconv.explain(net.model(x), variant="revd2")).split("\n\n")
    lines = kernels.splitlines()
    assert lines[1].split(maxsplit=2)[2] == "conv2d 3x3 dilation 2 groups 2, 6->6, 9x14, batch 2"
    assert re.fullmatch(r"\w+ and 1 more +revd2 +conv2d 3x3, 6->6, 7x12, batch 2", lines[4])
    assert lines[-2] == "3 by variants of ours, 0 left to TVM"


THREADS = """
import os, sys
os.environ.pop("TVM_NUM_THREADS", None)
from tvm_deconv.threads import use_threads
if sys.argv[2] == "last":
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
before = os.sched_getaffinity(0)
wanted = int(sys.argv[1]) or None
print(use_threads(wanted), os.sched_getaffinity(0) == before)
"""


def threads_used(forks, wanted: int, processors: str) -> str:
    # In a process of its own, because a pool that once started never grows.
    done = forks.run(THREADS, wanted, processors)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


linux = pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")


@linux
@pytest.mark.parametrize("wanted", [0, 1, 3])
def test_kernels_use_all_processors_or_as_many_threads_as_asked(forks, wanted):
    assert threads_used(forks, wanted, "all") == f"{wanted or len(os.sched_getaffinity(0))} True"


@linux
def test_kernels_stay_on_the_processors_that_the_process_may_run_on(forks):
    assert threads_used(forks, 0, "last") == "1 True"


def test_the_demo_networks_beat_bicubic_on_a_photograph_they_have_not_seen(monkeypatch):
    monkeypatch.syspath_prepend(str(MODELS.parent))
    from photographs import HELD_OUT, TRAINING, enlarged, luma, photograph, psnr, reduced

    record = json.loads((MODELS / "psnr.json").read_text())
    original = photograph(HELD_OUT)
    small = reduced(original)
    bicubic = psnr(luma(enlarged(small)), luma(original))
    assert HELD_OUT not in TRAINING
    assert record["held_out"] == HELD_OUT
    assert record["bicubic_psnr_db"] == pytest.approx(bicubic, abs=0.01)
    for path in MODELS.glob("*.onnx"):
        assert path.stat().st_size <= 300_000
        (result,) = reference(path, {"luma": luma(small)[None, None]})
        reached = psnr(result[0, 0], luma(original))
        assert record["psnr_db"][path.stem] == pytest.approx(reached, abs=0.01)
        assert reached > bicubic + 0.5


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("coordinates", ["asymmetric", "align_corners", "half_pixel"])
def test_a_resize_of_free_size_that_stays_compiles(mode, coordinates):
    net = Net(shape=(1, 3, 9, 14), dims=("n", 3, "h", "w"))
    scales = net.given(np.array([1, 1, 2, 2], "float32"))
    resized = net("Resize", "x", "", scales, mode=mode, coordinate_transformation_mode=coordinates)
    model = net.model(net("Relu", resized))
    assert len(tvm_deconv.explain(model).refused) == 1
    x = net.rng.random(net.shape).astype("float32")
    (expected,) = reference(model, {"x": x})
    np.testing.assert_allclose(run(tvm_deconv.compile(model), x), expected, rtol=0, atol=3e-6)
