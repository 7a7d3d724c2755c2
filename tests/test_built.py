"""Kernels are compiled in shares, one for each processor, and linked to one library."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from quick_network import loaded, unoptimised
from tvm import relax
from tvm.target import Target

import tvm_deconv
from tvm_deconv import built, compiler
from tvm_deconv.backends.linking import linker
from tvm_deconv.options import Options
from tvm_deconv.pictures.network import Network
from tvm_deconv.targets import resolve_target


def test_shares_are_of_about_the_same_size_and_none_is_empty():
    sizes = {tvm.ir.GlobalVar(f"f{n}"): n for n in (9, 1, 5, 4, 3)}
    shares = built._shares(sizes, 2)
    assert sorted(sum(sizes[var] for var in names) for names in shares) == [10, 12]
    assert len(built._shares(sizes, 8)) == 5
    assert built._shares({}, 2) == []


@pytest.mark.parametrize(("level", "levels"), [(3, {2: 1, 3: 2}), (1, {1: 3})])
def test_kernels_get_the_optimizations_that_their_schedules_want(monkeypatch, level, levels):
    """Two layers, by Winograd and directly, and a pool."""
    monkeypatch.setattr(built, "available_processors", lambda: 1)
    asked = {}

    def build(mod, target, pipeline):
        asked[int(target.attrs["opt-level"])] = len(mod.functions)
        return real(mod, target=target, pipeline=pipeline)

    real = tvm.tirx.build
    monkeypatch.setattr(built.tirx, "build", build)
    net = Net((1, 16, 40, 64))
    x = net("Relu", net.conv("x", 16, 16))
    model = net.model(net("MaxPool", net.conv(x, 16, 8, k=1), kernel_shape=[2, 2]))
    target = Target({**resolve_target("host").export(), "opt-level": level})
    tvm_deconv.compile(model, target, log=None)
    assert asked == levels


@pytest.mark.parametrize("level", [0, 1])
def test_what_computes_sizes_is_in_a_module_of_its_own(monkeypatch, level):
    """Beside it LLVM may not know that the arguments of a kernel do not overlap.

    Without optimizations there is one module.
    """
    monkeypatch.setattr(built, "available_processors", lambda: 1)
    modules = []

    def build(mod, target, pipeline):
        modules.append({var.name_hint for var in mod.functions})
        return real(mod, target=target, pipeline=pipeline)

    real = tvm.tirx.build
    monkeypatch.setattr(built.tirx, "build", build)
    net = Net((1, 3, "h", "w"))
    model = net.model(net.nearest(net("Relu", "x"), 4))
    target = Target({**unoptimised().export(), "opt-level": level})
    tvm_deconv.compile(model, target, log=None)
    assert ({"shape_func"} in modules) == (level > 0)
    assert len(modules) == 1 + (level > 0)


def test_a_network_of_several_shares_is_right(monkeypatch):
    monkeypatch.setattr(built, "available_processors", lambda: 3)
    net = Net((1, 3, 9, 14))
    x = net.conv(net("Relu", net.conv("x", 3, 4, k=5)), 4, 4, k=1)
    model = net.model(net("MaxPool", net.deconv(x, 4, 3, 4, 2), kernel_shape=[2, 2]))
    executable = tvm_deconv.compile(
        model, Target({**unoptimised().export(), "opt-level": 1}), log=None
    )
    assert [library.kind for library in executable.mod.imports] == ["llvm"] * 3
    assert_same_as_onnx_runtime(model, net.shape, main=loaded(executable), atol=1e-5)


@pytest.mark.parametrize("level", [0, 1])
def test_what_has_run_is_exported_too(level, tmp_path, monkeypatch):
    """LLVM's JIT changes the modules that it runs."""
    monkeypatch.setattr(built, "available_processors", lambda: 2)
    net = Net((1, 3, 9, 14))
    target = Target({**unoptimised().export(), "opt-level": level})
    model = net.model(net("Relu", net.conv(net.conv("x", 3, 4, k=5), 4, 4, k=1)))
    executable = tvm_deconv.compile(model, target, log=None)
    x = tvm.runtime.tensor(net.rng.standard_normal(net.shape).astype("float32"))
    wanted = relax.VirtualMachine(executable, tvm.cpu())["main"](x).numpy()
    executable.export_library(str(tmp_path / "net.so"))
    found = Network.open(tmp_path / "net.so").machine["main"](x).numpy()
    np.testing.assert_array_equal(found, wanted)


def test_a_network_is_run_before_its_library_is_written_and_weights_are_written_once(tmp_path):
    net = Net((1, 3, 9, 14))
    model = net.model(net.conv("x", 3, 64, k=9))
    target = compiler.for_threads(unoptimised(), None)
    passes = compiler.pipeline_of(target, Options(log=None, winograd=False))
    command = linker(target)
    made = compiler.build(model, None, target, passes).with_objects(tmp_path)
    x = tvm.runtime.tensor(net.rng.standard_normal(net.shape).astype("float32"))
    tried = made.machine(tmp_path, command)["main"](x).numpy()
    weights = 4 * 64 * 3 * 9 * 9
    assert all(file.stat().st_size < weights for file in tmp_path.iterdir())
    made.write(tmp_path / "net.so", command)
    assert (tmp_path / "net.so").stat().st_size > weights
    found = Network.open(tmp_path / "net.so").machine["main"](x).numpy()
    np.testing.assert_array_equal(found, tried)
    # Compilers put a checksum of the whole library into it otherwise.
    assert b".note.gnu.build-id" not in (tmp_path / "net.so").read_bytes()
