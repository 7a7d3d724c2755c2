"""What a library holds besides machine code goes through the assembler as it is."""

from __future__ import annotations

import numpy as np
import tvm
import tvm_ffi
from onnx_net import Net
from quick_network import unoptimised
from tvm import relax

import tvm_deconv
from tvm_deconv.backends import packing
from tvm_deconv.backends.linking import link, linker
from tvm_deconv.targets import resolve_target


def test_a_library_holds_what_tvm_would_pack_and_computes_the_same(tmp_path, monkeypatch):
    net = Net((1, 3, 8, 9))
    model = net.model(net.conv(net("Relu", net.conv("x", 3, 8)), 8, 3))
    executable = tvm_deconv.compile(model, unoptimised(), log=None)
    here, x = resolve_target("host"), np.ones(net.shape, "float32")
    results = []
    for name, packer in (("ours", packing.pack), ("tvms", None)):
        monkeypatch.setattr("tvm_deconv.backends.linking.pack", packer)
        path = tmp_path / f"{name} \"'.so"
        link(executable, path, linker(here), here)
        main = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())["main"]
        results.append(main(tvm.runtime.tensor(x)).numpy())
        packed = tvm_ffi.get_global_func("runtime.ModulePackImportsToTensor")(executable.mod)
        assert packed.numpy().tobytes()[8:] in path.read_bytes()
    np.testing.assert_array_equal(*results)


def test_paths_are_quoted_for_the_assembler(tmp_path, monkeypatch):
    folder = tmp_path / 'a "quoted" \\ folder'
    folder.mkdir()
    command = linker(resolve_target("host"))
    content = tvm.runtime.tensor(np.arange(5, dtype="uint8"))
    monkeypatch.setattr(packing.tvm_ffi, "get_global_func", lambda _: lambda _: content)
    source = packing.pack(None, False, "", str(folder))
    library = tmp_path / "out.so"
    tvm.support.cc.create_shared(str(library), [source], cc=command)
    assert bytes(range(5)) in library.read_bytes()
