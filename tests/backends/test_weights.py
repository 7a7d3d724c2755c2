"""Large weights of a library are used where its file is mapped, and are in no other memory."""

from __future__ import annotations

import gc
import os
import shutil
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

import numpy as np
import onnx
import pytest
import tvm
import tvm_ffi
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from quick_network import unoptimised
from tvm import relax

from tvm_deconv.backends.packing import Packing
from tvm_deconv.backends.weights import in_file
from tvm_deconv.library import compile_library

OPTIONS = {"log": None, "winograd": False}
NET = Net((1, 3, 8, 9))
# 17 MB of weights, and maps of nothing.
CHANNELS = 2048
LARGE = Net((1, CHANNELS, 1, 1))
MAIN = Path(__file__).with_name("weights_main.c")
# Compilers, and what runs their programs here.
COMMANDS = {
    "gcc": [],
    "aarch64-linux-gnu-gcc": ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"],
    "arm-linux-gnueabihf-gcc": ["qemu-arm-static", "-L", "/usr/arm-linux-gnueabihf"],
}


@dataclass(frozen=True)
class Library:
    """A network, its library, an input for it, and what becomes of that by ONNX Runtime."""

    model: onnx.ModelProto
    path: Path
    x: np.ndarray

    def machine(self):
        return relax.VirtualMachine(tvm.runtime.load_module(str(self.path)), tvm.cpu())

    def result(self, machine):
        return machine["main"](tvm.runtime.tensor(self.x)).numpy()


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A network of three large weights, of which two are equal, and of small ones."""
    x, weight = NET.conv("x", 3, 40), NET.constant(40, 40, 3, 3, scale=0.05)
    for _ in range(2):
        x = NET("Conv", NET("Relu", x), weight, pads=[1] * 4)
    return written(NET.model(NET.conv(x, 40, 3, k=1)), NET, tmp_path_factory.mktemp("library"))


def written(model, net, folder):
    path = folder / "net.so"
    compile_library(model, path, target=unoptimised(), **OPTIONS)
    return Library(model, path, np.random.default_rng(1).random(net.shape, "float32"))


def tensors(path):
    """The weights of a library, by their numbers."""
    executable = tvm.runtime.load_module(str(path))
    weight = executable.imports[0]["tvm_deconv_weights"]
    found = []
    while (one := weight(len(found))) is not None:
        found.append(one)
    assert weight(-1) is None
    return found


def places(path):
    """Where a file is mapped: first and last address, and what may be done there."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    words = [line.split() for line in lines if line.endswith(str(path))]
    return [(*(int(end, 16) for end in ends.split("-")), rights) for ends, rights, *_ in words]


def test_a_network_computes_with_them_what_it_should(library):
    machine = library.machine()
    main = machine["main"]
    assert_same_as_onnx_runtime(library.model, library.x, main=main, of_largest=1e-5)
    assert len(tensors(library.path)) == 2


def test_they_are_aligned_in_pages_of_the_file_that_are_only_read(library):
    for tensor in tensors(library.path):
        address = np.from_dlpack(tensor).ctypes.data
        assert address % 64 == 0
        (rights,) = (may for begin, end, may in places(library.path) if begin <= address < end)
        assert rights == "r--p"


def test_what_is_not_a_kernels_alone_stays_when_the_library_has_gone(tmp_path):
    net = Net((1, 2, 4, 4))
    table = net.constant(1, 64, 64)
    made = written(net.model(net("Relu", "x"), net("Identity", table)), net, tmp_path)
    path = str(made.path)
    module = tvm_ffi.load_module(path, keep_module_alive=False)
    machine = relax.VirtualMachine(module, tvm.cpu())
    _, given = machine["main"](tvm.runtime.tensor(made.x))
    del module, machine
    gc.collect()
    assert not places(path)
    np.testing.assert_array_equal(given.numpy(), onnx.numpy_helper.to_array(net.weights[0]))


def test_machines_and_copies_of_a_library_do_not_disturb_each_other(library, tmp_path):
    copy = tmp_path / "copy.so"
    shutil.copy(library.path, copy)
    wanted = library.result(library.machine())
    machines = [library.machine(), library.machine()]
    machines.append(relax.VirtualMachine(tvm.runtime.load_module(str(copy)), tvm.cpu()))
    for machine in [*machines, *machines]:
        np.testing.assert_array_equal(library.result(machine), wanted)
    del machines[0]
    gc.collect()
    np.testing.assert_array_equal(library.result(machines[0]), wanted)


def test_a_library_is_unloaded_and_loaded_again(library, tmp_path):
    copy = tmp_path / "copy.so"
    shutil.copy(library.path, copy)
    wanted = library.result(library.machine())
    for _ in range(20):
        assert not places(copy)
        module = tvm_ffi.load_module(str(copy), keep_module_alive=False)
        machine = relax.VirtualMachine(module, tvm.cpu())
        np.testing.assert_array_equal(library.result(machine), wanted)
        assert places(copy)
        del module, machine
        gc.collect()


def test_threads_may_all_come_first(library, tmp_path):
    wanted = library.result(library.machine())
    for number in range(5):
        copy = tmp_path / f"{number}.so"
        shutil.copy(library.path, copy)
        module, together = tvm.runtime.load_module(str(copy)), Barrier(8)

        def first(module=module, together=together):
            machine = relax.VirtualMachine(module, tvm.cpu())
            together.wait()
            return [library.result(machine) for _ in range(20)]

        with ThreadPoolExecutor(8) as pool:
            runs = [pool.submit(first) for _ in range(8)]
        for run in runs:
            for given in run.result():
                np.testing.assert_array_equal(given, wanted)


def test_a_fork_computes_with_them(library):
    machine = library.machine()
    wanted = library.result(machine)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if (library.result(machine) == wanted).all() else 1
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0


def test_weights_take_their_own_size_of_memory_once_and_none_that_is_not_the_files(tmp_path):
    x = LARGE.conv("x", CHANNELS, CHANNELS, k=1, bias=False)
    made = written(LARGE.model(x), LARGE, tmp_path)
    (tensor,) = tensors(made.path)
    weights = np.from_dlpack(tensor).nbytes
    assert weights == 4 * CHANNELS**2
    script = (
        "import sys\n"
        "import numpy as np, tvm\n"
        "from tvm import relax\n"
        "def status(*names):\n"
        "    lines = dict(line.split(':') for line in open('/proc/self/status'))\n"
        "    return [1024 * int(lines[name].split()[0]) for name in names]\n"
        "x = tvm.runtime.tensor(np.ones((1, int(sys.argv[2]), 1, 1), 'float32'))\n"
        "before = status('VmHWM', 'VmRSS', 'RssAnon')\n"
        "machine = relax.VirtualMachine(tvm.runtime.load_module(sys.argv[1]), tvm.cpu())\n"
        "for _ in range(2):\n"
        "    machine['main'](x)\n"
        "after = status('VmHWM', 'VmRSS', 'RssAnon')\n"
        "print(*(now - then for now, then in zip(after, before)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, made.path, str(CHANNELS)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "TVM_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    peak, held, own = map(int, done.stdout.split())
    assert max(peak, held) < 1.3 * weights
    assert own < 0.3 * weights


@pytest.mark.parametrize("command", COMMANDS)
def test_they_are_tensors_of_tvm_on_any_processor(command, tmp_path):
    for needed in (command, *COMMANDS[command][:1]):
        if shutil.which(needed) is None:
            pytest.skip(f"no {needed} here")
    rng = np.random.default_rng(0)
    arrays = [
        rng.standard_normal((3, 1, 5, 300)).astype("float32"),
        rng.integers(-128, 128, (5, 1001), "int8"),
        rng.standard_normal(4097).astype("float16"),
    ]
    packing = Packing(command, arrays)
    packing.content = lambda module: in_file(struct.pack("<Q", 13) + b"for a loader.", arrays)
    path, program = tmp_path / "net.so", tmp_path / "program"
    source = packing.pack(None, False, "", str(tmp_path))
    warnings = ["-Wall", "-Wextra", "-Werror"]
    tvm.support.cc.create_shared(str(path), [source], [*packing.options, *warnings], cc=command)
    packing.finish(path)
    headers = (tvm_ffi.libinfo.find_include_path(), tvm_ffi.libinfo.find_dlpack_include_path())
    includes = [f"-I{folder}" for folder in headers]
    subprocess.run([command, *warnings, *includes, MAIN, "-o", program, "-ldl"], check=True)
    run = subprocess.run(
        [*COMMANDS[command], program, path], capture_output=True, check=True, timeout=60
    )
    described = b"".join(
        b"%s %d %s\n" % (str(array.dtype).encode(), array.nbytes, _numbers(array)) + array.tobytes()
        for array in arrays
    )
    assert run.stdout == described


def _numbers(array):
    """Sizes and strides."""
    strides = (stride // array.itemsize for stride in array.strides)
    return " ".join(map(str, [*array.shape, *strides])).encode()
