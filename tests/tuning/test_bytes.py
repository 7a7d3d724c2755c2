"""Tuning of quantized networks: what is tuned, what kernels are held against, and the log."""

from __future__ import annotations

import json
import re

import numpy as np
import onnx
import pytest
import tvm
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from kernel import layers
from log_helper import HOST, MACHINE, header
from onnx_net import Net
from quantized_networks import assert_equal_but_for_ties, by_onnx_runtime, quantized
from tvm import relax

import tvm_deconv
from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.cli import main
from tvm_deconv.compiler import for_threads
from tvm_deconv.errors import LogError, TuningError, VariantError
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.layer import Candidate, Layer
from tvm_deconv.logs.trial import OK, Trial, candidate_from
from tvm_deconv.schedules.cpu.integer.tile import Tile
from tvm_deconv.schedules.cpu.integer.variant import IntegerVariant, integer_variant
from tvm_deconv.schedules.machines import variants_for, variants_of_dtype
from tvm_deconv.schedules.space import fields, parameters_of, point_of, tuning_refusal
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target
from tvm_deconv.tuning import driver
from tvm_deconv.tuning.build import packed
from tvm_deconv.tuning.case import WEIGHT, read_case, write_case
from tvm_deconv.tuning.definition import candidate_of, definition
from tvm_deconv.tuning.device import local_device
from tvm_deconv.tuning.features import features
from tvm_deconv.tuning.search import SearchSpace, default_candidates
from tvm_deconv.tuning.tasks import tasks_of

VNNI = resolve_target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "cascadelake"})
AXIS = Axis(4, 2, 1, 1)
LAYER = Layer(ConvTranspose2d(6, 10, AXIS, Axis(5, 3, 1, 0, 1), groups=2), Sizes(2, 5, 19))
NARROW, WIDE = "uint8xint8", "int8xint16"


def of_bytes(dtype, layer=LAYER):
    return Layer(layer.conv, layer.sizes, dtype)


def network(shape=(1, 4, 9, 21), channels=10):
    net = Net(shape)
    x = net("Relu", net.conv("x", 4, channels))
    # Of groups, which have no other form than that of folded taps, of 16 bits.
    return net, net.conv(net.nearest(x, 3), channels, 4, group=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    path = folder / "network.onnx"
    onnx.save(quantized(*network(), folder), path)
    return path


def test_layers_of_bytes_are_tuned_as_such_and_say_so(model):
    tasks = tasks_of(str(model), None, VNNI)
    assert [task.layer.dtype for task in tasks] == ["uint8xint8", "uint8xint16"]
    assert tasks[0].name.endswith("uint8 by int8")
    assert str(tasks[1].layer).endswith("1x9x21 uint8xint16")
    assert Layer.parse(str(tasks[1].layer)) == tasks[1].layer


def test_workloads_are_quantized_for_it_where_that_is_asked_for():
    (task,) = tasks_of(["design/subpixel-r3-32-1"], None, VNNI, "int8")
    assert task.layer.dtype == "uint8xint8"
    assert task.name.startswith("design/subpixel-r3-32-1 conv2d_transpose")
    (plain,) = tasks_of(["design/subpixel-r3-32-1"], None, VNNI)
    assert plain.layer == Layer(task.layer.conv, task.layer.sizes)
    with pytest.raises(TuningError, match="in float32 or int8, not int4"):
        tasks_of(["design/subpixel-r3-32-1"], None, VNNI, "int4")


def test_a_model_is_tuned_as_it_is(model):
    with pytest.raises(TuningError, match=r"int8 is for workloads.*tvm-deconv quantize"):
        tasks_of(str(model), None, VNNI, "int8")


def test_forms_of_fewer_products_are_not_tuned(tmp_path):
    net = Net((1, 32, 9, 21))
    proto = quantized(net, net.conv(net.nearest("x", 3), 32, 8), tmp_path)
    with pytest.raises(TuningError, match="nothing to tune"):
        tasks_of(proto, None, VNNI)


def test_what_float32_computes_faster_is_tuned_in_float32(tmp_path):
    net = Net((1, 64, 48, 48))
    proto = quantized(net, net.conv("x", 64, 64, 5), tmp_path)
    haswell = resolve_target({"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "haswell"})
    assert [task.layer.dtype for task in tasks_of(proto, None, haswell)] == ["float32"]
    assert [task.layer.dtype for task in tasks_of(proto, None, VNNI)] == ["uint8xint8"]


def test_a_free_size_is_refused(tmp_path):
    net = Net((1, 4, 9, 21), dims=(1, 4, "h", 21))
    proto = quantized(net, net.conv("x", 4, 5), tmp_path)
    with pytest.raises(TuningError, match=r"uint8 by int8: a size is free.*--shape"):
        tasks_of(proto, None, VNNI)


@pytest.mark.parametrize("dtype", [NARROW, WIDE])
def test_floats_and_bytes_have_no_variant_in_common(dtype):
    floats, ints = variants_for(MACHINE), variants_of_dtype(MACHINE, dtype)
    assert not floats.keys() & ints.keys()
    for name in floats:
        with pytest.raises(LogError, match=f"'{name}' is not known for {dtype}"):
            candidate_from(of_bytes(dtype), name, {}, MACHINE)
    with pytest.raises(LogError, match="'integer' is not known for float32"):
        candidate_from(LAYER, "integer", {}, MACHINE)
    with pytest.raises(VariantError, match="lack vectors"):
        candidate_from(of_bytes(dtype), "integer", {"channels": 2}, MACHINE)


def test_layers_of_bytes_are_not_tuned_on_gpus(model):
    gpu = resolve_target("nvidia/jetson-orin-nano")
    assert not variants_of_dtype(tvm_deconv.backends.machine_of(gpu), NARROW)
    with pytest.raises(TuningError, match=r"nothing to tune \(.* on GPUs, those of bytes"):
        tasks_of(str(model), None, gpu)


def test_a_gpu_without_products_of_bytes_tunes_them_as_floats(model):
    gpu = resolve_target("nvidia/jetson-nano")
    assert {task.layer.dtype for task in tasks_of(str(model), None, gpu)} == {"float32"}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"channels": 6}, "6 channels in a tile, where a group has 5"),
        ({"splits": 3}, "2 tiles of channels are not divisible by 3 splits"),
        ({"channels": 5, "vectors": 4, "joined": True}, "vector registers, more than"),
        ({"channels": 3, "flat": True}, None),
        ({"rows": 9, "flat": True}, "9 rows of blocks in a strip, more than 5"),
    ],
    ids=str,
)
def test_what_cannot_be_or_pay_is_not_built(changes, reason):
    variant = integer_variant(MACHINE, "int8")
    tile = Tile(**{"channels": 5, "vectors": 1, "rows": 3, **changes})
    said = tuning_refusal(variant, LAYER.conv, LAYER.sizes, tile, MACHINE)
    assert said is None if reason is None else reason in said


@st.composite
def feasible(draw, variant, conv, sizes):
    """A point of the space that the tuner would build."""
    values = fields(variant, conv, sizes, MACHINE)
    for _ in range(20):
        point = {name: draw(st.sampled_from(some)) for name, some in values.items()}
        tile = parameters_of(variant, point)
        if tuning_refusal(variant, conv, sizes, tile, MACHINE) is None:
            return tile
    return variant.choose(conv, sizes, MACHINE)


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(st.data(), layers(), st.sampled_from([NARROW, "int8xint8", "uint8xint16", WIDE]))
def test_every_feasible_point_computes_the_bytes_of_its_case(tmp_path_factory, data, drawn, dtype):
    conv, shape = drawn
    layer = Layer(conv, Sizes(*shape), dtype)
    assume(min(layer.output_shape) > 0)
    usable = [v for v in variants_of_dtype(MACHINE, dtype).values() if v.cannot(conv) is None]
    assume(usable)
    variant = data.draw(st.sampled_from(usable))
    assert_computed(layer, variant, data, tmp_path_factory.mktemp("case"))


# A plain 3x3, a sub-pixel one, one behind a nearest resize by 2 (whose phases share products).
THREE, SHUFFLED = Axis(3, 1, 1, 1), Axis(6, 2, 2, 2)
SHARED = Axis(4, 2, 1, 1, equal_sums=True)


@settings(max_examples=8, suppress_health_check=list(HealthCheck))
@given(
    st.data(),
    st.sampled_from([THREE, SHUFFLED, AXIS, SHARED]),
    st.tuples(st.integers(1, 9), st.integers(1, 20)),
    st.sampled_from([NARROW, "int8xint8", "uint8xint16", WIDE]),
)
def test_so_does_winograds_form(tmp_path_factory, data, axis, channels, dtype):
    layer = Layer(ConvTranspose2d(*channels, axis, axis), Sizes(2, 7, 19), dtype)
    variant = variants_of_dtype(MACHINE, dtype)["integer_winograd"]
    assert_computed(layer, variant, data, tmp_path_factory.mktemp("case"))


def assert_computed(layer, variant, data, folder):
    made = Candidate(layer, variant, data.draw(feasible(variant, layer.conv, layer.sizes)))
    write_case(layer, folder, seed=3)
    case = read_case(folder)
    got = computed(made, case, np.load(folder / WEIGHT))
    np.testing.assert_array_equal(got, case.expected)
    assert case.tolerance == 0
    fields = ("channels", "vectors", "rows", "splits")
    more = ("joined", "flat") if variant.name == "integer" else ()
    assert point_of(made.parameters).keys() == {*fields, *more}


def test_a_record_of_winograds_form_is_taken_where_the_weights_have_it(tmp_path):
    """What a log measured of other weights is no reason to compute wrong sums."""
    net = Net((1, 64, 16, 16))
    model = quantized(net, net.conv("x", 64, 64), tmp_path)
    write_log(tmp_path / "logs", model, ms=1, variant="integer_winograd")
    options = {"threads": 1, "log": tmp_path / "logs"}
    (kernel,) = tvm_deconv.explain(model, **options).kernels
    assert kernel.reason.endswith("1 ms, 1 trials, by F(4x4, 3x3)")
    (kernel,) = tvm_deconv.explain(model, winograd=False, **options).kernels
    assert "machine model" in kernel.reason
    executable = tvm_deconv.compile(model, **options)
    x = np.random.default_rng(5).random((1, 64, 16, 16), "float32")
    got = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    assert_equal_but_for_ties(got, by_onnx_runtime(model, x))
    # Kernels all of the largest byte and of one sign have sums that leave no room for 576 times.
    wide = Net((1, 256, 16, 16))
    output = wide("Conv", "x", wide.given(np.full((64, 256, 3, 3), 0.1, "float32")), pads=[1] * 4)
    full = quantized(wide, output, tmp_path)
    write_log(tmp_path / "logs", full, ms=1, variant="integer_winograd")
    (kernel,) = tvm_deconv.explain(full, **options).kernels
    assert "F(4x4, 3x3)" not in kernel.reason


def computed(made, case, weight):
    y = tvm.runtime.tensor(case.unwritten())
    arrays = [case.x, *packed(made, weight)]
    tvm.compile(made.kernel(), target=HOST)["main"](*map(tvm.runtime.tensor, arrays), y)
    return y.numpy()


@pytest.mark.parametrize("dtype", [NARROW, WIDE])
def test_a_case_of_bytes_uses_their_range_and_no_element_is_right_before(dtype, tmp_path):
    layer = of_bytes(dtype)
    write_case(layer, tmp_path, seed=0)
    case, weight = read_case(tmp_path), np.load(tmp_path / WEIGHT)
    assert (str(case.x.dtype), str(weight.dtype)) == layer.operands
    bounds = np.iinfo(case.x.dtype)
    assert len(np.unique(case.expected)) > 100
    assert np.isin(case.expected, (bounds.min, bounds.max)).mean() < 0.1
    assert not (case.unwritten() == case.expected).any()
    assert case.unwritten().dtype == case.x.dtype


def test_the_definition_that_metaschedule_sees_is_the_sum_of_products(tmp_path):
    layer = of_bytes(NARROW)
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, layer.input_shape).astype("uint8")
    weight = rng.integers(-127, 128, layer.conv.weight_shape).astype("int8")
    y = tvm.runtime.empty(layer.output_shape, "int32")
    tvm.compile(definition(layer), target=HOST)["main"](
        tvm.runtime.tensor(x), tvm.runtime.tensor(weight), y
    )
    conv = layer.conv
    numbers = conv.strides, conv.padding, conv.output_padding, conv.dilation, conv.groups
    expected = tvm_deconv.measure.reference.transposed_convolution(x, weight, *numbers)
    np.testing.assert_array_equal(y.numpy(), expected)


def test_a_candidate_is_read_back_from_its_trace_and_has_features():
    layer = of_bytes(NARROW)
    space = SearchSpace(layer, MACHINE)
    (default,) = default_candidates(layer, MACHINE)
    assert isinstance(default.variant, IntegerVariant)
    assert candidate_of(space.measurable(default).sch, MACHINE) == default
    row, floats = (features(c, MACHINE) for c in (default, default_candidates(LAYER, MACHINE)[0]))
    assert np.isfinite(row).all() and row.shape == floats.shape


def tuned(model, folder, trials, **options):
    lines = []
    report = driver.tune(
        model, threads=1, trials=trials, logs=folder, report=lines.append, **options
    )
    trials = (report.folder / "trials.jsonl").read_text().splitlines()
    return report, lines, [json.loads(line) for line in trials]


def test_a_tuned_layer_is_compiled_from_its_log_and_computes_the_same(tmp_path, quick):
    """Over RPC, as this machine is measured, too."""
    net = Net((1, 4, 9, 21))
    model = quantized(net, net.conv(net.nearest("x", 3), 4, 3), tmp_path)
    with local_device(1) as device:
        where = {"tracker": f"{device.host}:{device.port}", "key": device.key}
        report, lines, trials = tuned(model, tmp_path / "logs", 2, **where)
    assert {trial["layer"].rpartition(" ")[2] for trial in trials} == {"uint8xint16"}
    assert all(trial["kernel"].startswith("integer channels=") for trial in trials)
    assert all(trial.get("status", "ok") == "ok" for trial in trials)
    assert [trial["stage"] for trial in trials][:3] == ["default", "search", "final"]
    assert [outcome.trials for outcome in report.outcomes] == [2]
    assert any("GOP/s" in line and "of peak" in line for line in lines)

    (kernel,) = tvm_deconv.explain(model, threads=1, log=tmp_path / "logs").kernels
    assert re.search(r"uint8 by int16.*; tuning log .*: .* ms, 8 trials", kernel.reason)
    executable = tvm_deconv.compile(model, threads=1, log=tmp_path / "logs")
    x = np.random.default_rng(5).random((1, 4, 9, 21), "float32")
    got = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    assert_equal_but_for_ties(got, by_onnx_runtime(model, x))


def test_records_of_floats_and_of_bytes_serve_their_own_layers_only(tmp_path, capsys):
    """The same convolution, quantized and not, in one log."""
    net = Net((1, 8, 12, 20))
    output = net.conv("x", 8, 6)
    quantized_model = quantized(net, output, tmp_path)
    write_log(tmp_path / "logs", quantized_model, ms=1)
    write_log(tmp_path / "logs", net.model(output), ms=2)
    for proto, seconds in ((quantized_model, "1 ms"), (net.model(output), "2 ms")):
        (kernel,) = tvm_deconv.explain(proto, threads=1, log=tmp_path / "logs").kernels
        assert seconds in kernel.reason
    (folder,) = (tmp_path / "logs").iterdir()
    assert main(["logs", "verify", str(folder)]) == 0
    assert main(["logs", "list", "--logs", str(tmp_path / "logs")]) == 0
    said = capsys.readouterr().out
    assert re.search(r"1 ms .* GOP/s  integer", said)
    assert re.search(r"2 ms .* GFLOP/s  ", said)


def write_log(root, model, ms, variant=None):
    """The first candidate for each layer of a model, as if it took so many milliseconds."""
    target = for_threads("host", 1)
    machine = tvm_deconv.backends.machine_of(target)
    with LogFolder.for_tuning(root, header(target=target)) as log:
        for task in tasks_of(model, None, target):
            candidates = default_candidates(task.layer, machine)
            made = next(c for c in candidates if variant in (None, c.variant.name))
            log.commit(Trial.of(made, task.name, OK, [ms * 1e-3], seed=0, stage="search"))
