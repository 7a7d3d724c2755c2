"""Parallel loops of a library run on its own threads: each share once, whatever else goes on."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import pytest
import tvm
import tvm_ffi
from onnx import TensorProto, helper
from onnx_net import Net
from tvm import relax

from tvm_deconv.backends.launch import launch_words
from tvm_deconv.backends.linking import linker
from tvm_deconv.library import compile_library
from tvm_deconv.schedules import llvm
from tvm_deconv.targets import resolve_target
from tvm_deconv.threads import use_threads

STUB = Path(__file__).with_name("launch_stub.c")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The path of the stub, linked as a library is."""
    path = tmp_path_factory.mktemp("launch") / "loops.so"
    words = [*launch_words(llvm.default_triple()), "-Wall", "-Wextra", "-Werror"]
    folders = [
        f"-I{folder}"
        for folder in (
            tvm_ffi.libinfo.find_include_path(),
            tvm_ffi.libinfo.find_dlpack_include_path(),
        )
    ]
    command = linker(resolve_target("host"))
    subprocess.run(
        [command, "-shared", "-fPIC", "-o", path, *words, *folders, "-x", "c", STUB], check=True
    )
    return path


@pytest.fixture
def loops(built):
    library = ctypes.CDLL(str(built))
    yield library
    close(library)


def close(library):
    ctypes.CDLL(None).dlclose(ctypes.c_void_p(library._handle))


def own_threads():
    """How many threads this process has."""
    return len(os.listdir("/proc/self/task"))


@pytest.mark.parametrize("shares", [1, 2, 3, 5, 9, 256])
def test_each_share_of_each_loop_is_computed_once(loops, shares):
    assert loops.wrong_loops(4000 // shares, shares) == 0


def test_workers_that_fell_asleep_are_woken_for_the_next_loop(loops):
    for _ in range(10):
        assert loops.run_together(3, 0)
        time.sleep(0.002)


def test_the_caller_sleeps_until_the_last_share_is_done(loops):
    """In a thread of its own: a caller that nobody wakes sleeps on."""
    done = []

    def several():
        done.extend(loops.run_together(3, 3000) for _ in range(5))

    caller = threading.Thread(target=several, daemon=True)
    caller.start()
    caller.join(60)
    assert done == [1] * 5


def in_a_new_thread(function):
    """What it returns there, where TVM's pool has not been begun with fewer threads."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def test_a_loop_has_as_many_shares_as_tvm_has_threads(loops):
    def shares():
        return [(use_threads(count), loops.shares_by_default()) for count in (3, 1, 2)]

    assert in_a_new_thread(shares) == [(3, 3), (1, 1), (2, 2)]


def test_callers_of_several_threads_do_not_get_in_each_others_way(loops):
    """The workers are one caller's; the others have TVM's pool, which each thread begins anew."""

    together = threading.Barrier(4)

    def wrong(shares):
        use_threads(2)
        together.wait()
        return loops.wrong_loops(20_000, shares)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(wrong, [1, 2, 1, 2])) == [0, 0, 0, 0]


@pytest.mark.parametrize("fails", [0, 1, 2])
def test_the_error_of_a_share_reaches_the_caller_whoever_met_it(loops, fails):
    assert loops.fails_with_its_error(3, fails)
    assert loops.wrong_loops(10, 3) == 0


def test_of_several_shares_that_fail_no_error_is_leaked(loops):
    assert loops.leaked_errors(5) == 0


def in_a_fork(is_good):
    """What a fork of this process says, if it does within 20 seconds."""
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(20)
        code = 1
        try:
            code = 0 if is_good() else 1
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def test_a_forked_process_computes_with_threads_of_its_own(loops):
    assert loops.wrong_loops(100, 3) == 0

    def is_good():
        threads = own_threads()
        return loops.wrong_loops(100, 3) == 0 and own_threads() == threads + 2

    assert in_a_fork(is_good)
    assert loops.wrong_loops(100, 3) == 0


def test_callers_in_a_fork_do_not_wait_for_threads_that_it_has_not(loops):
    """TVM's pool of the thread that forked, which was begun before, has none."""

    def forked_here():
        use_threads(2)
        return in_a_fork(two_callers)

    def elsewhere():
        use_threads(2)
        return loops.wrong_loops(20_000, 2)

    def two_callers():
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(elsewhere)
            return loops.wrong_loops(20_000, 2) == 0 == other.result()

    assert in_a_new_thread(forked_here)


def test_where_the_system_gives_no_more_threads_those_there_are_compute(loops):
    def is_good():
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20),) * 2)
        right = loops.wrong_loops(20, 200) == 0
        return right and own_threads() < 200

    assert in_a_fork(is_good)


def run_script(built, script, **options):
    """A process of its own, with the library as ``loops``."""
    head = "import ctypes, sys, tvm_ffi\nloops = ctypes.CDLL(sys.argv[1])\n"
    command = [sys.executable, "-c", head + script, built]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def test_a_fault_in_a_worker_reaches_the_handlers_of_the_program(built):
    done = run_script(built, "import faulthandler\nfaulthandler.enable()\nloops.trap_in_a_worker()")
    assert "Illegal instruction" in done.stderr or "Trace/breakpoint trap" in done.stderr


def test_a_process_ends_while_a_thread_of_it_computes(built):
    done = run_script(
        built,
        "import threading, time\n"
        "threading.Thread(target=loops.wrong_loops, args=(10**9, 3), daemon=True).start()\n"
        "time.sleep(0.05)\n"
        "print('ends')\n",
    )
    assert (done.returncode, done.stdout) == (0, "ends\n"), done.stderr


def test_unloading_ends_threads_that_come_from_a_share_just_then(built):
    done = run_script(
        built,
        "close = ctypes.CDLL(None).dlclose\n"
        "for n in range(400):\n"
        "    loops.wrong_loops(1, 2 + n % 7)\n"
        "    close(ctypes.c_void_p(loops._handle))\n"
        "    loops = ctypes.CDLL(sys.argv[1])\n",
    )
    assert done.returncode == 0, done.stderr


def test_unloading_a_library_ends_its_threads(built):
    before = own_threads()
    library = ctypes.CDLL(str(built))
    assert library.wrong_loops(10, 4) == 0
    assert own_threads() == before + 3
    close(library)
    assert own_threads() == before


def network(path):
    """A library of one convolution, large enough for two threads."""
    rng = np.random.default_rng(0)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])],
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 16, 64, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(rng.random((16, 16, 3, 3), "float32"), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    compile_library(model, path, threads=2)
    return path


def test_the_loops_of_a_compiled_network_run_on_its_own_threads(tmp_path):
    path = network(tmp_path / "network.so")

    def more_threads():
        use_threads(2)
        machine = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())
        x = tvm.runtime.tensor(np.ones((1, 16, 64, 64), "float32"))
        before = own_threads()
        machine["main"](x)
        return own_threads() - before

    assert in_a_new_thread(more_threads) == 1


def test_a_layer_that_memory_is_missing_for_is_an_error(tmp_path, forks):
    """TVM throws std::bad_alloc through generated code, which aborts the process."""
    dilated = {"dilations": [1000] * 2, "pads": [4000] * 4}
    net = Net((1, 16, 30, 31), dims=(1, 16, "h", "w"))
    path = tmp_path / "network.so"
    compile_library(net.model(net.conv("x", 16, 16, 9, bias=False, **dilated)), path)
    script = (
        "import numpy as np, resource, sys, tvm\n"
        "module = tvm.runtime.load_module(sys.argv[1])\n"
        "main = tvm.relax.VirtualMachine(module, tvm.cpu())['main']\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\n"
        "try:\n"
        "    main(tvm.runtime.tensor(np.ones((1, 16, 30, 31), 'float32')))\n"
        "except MemoryError as error:\n"
        "    print(error)\n"
    )
    done = forks.run(script, path)
    assert re.fullmatch(r"a layer asks for \d\.\d GB of memory, .*\n", done.stdout), done.stderr


def test_a_process_that_tvm_gives_one_thread_keeps_its_processors(built, forks):
    """TVM's pool would narrow it to the first; on x86 that is the default for two processors."""
    script = (
        "import ctypes, os, sys, tvm\n"
        "before = os.sched_getaffinity(0)\n"
        "shares = ctypes.CDLL(sys.argv[1]).shares_by_default()\n"
        "print(shares, os.sched_getaffinity(0) == before)\n"
    )
    done = forks.run(script, built, variables={"TVM_NUM_THREADS": "1"})
    assert done.stdout == "1 True\n", done.stderr


def test_a_library_can_be_loaded_where_glibc_is_older_than_here(tmp_path):
    """Threads were moved into another library, with another version, by glibc 2.34."""
    said = subprocess.run(
        ["objdump", "-T", network(tmp_path / "network.so")],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    needed = {tuple(map(int, found.split("."))) for found in re.findall(r"GLIBC_([\d.]+)", said)}
    assert (2, 2, 5) in needed or (2, 17) in needed
    assert max(needed) < (2, 34)
