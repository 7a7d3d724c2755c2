"""What a library holds besides machine code is written to its end, weights from where they are."""

from __future__ import annotations

import errno
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
import tvm
from onnx_net import Net
from quick_network import unoptimised
from tvm import relax

from tvm_deconv import compiler
from tvm_deconv.backends import packing
from tvm_deconv.backends.elf import fill
from tvm_deconv.backends.linking import linker
from tvm_deconv.backends.packing import Packing
from tvm_deconv.backends.serialized import packed
from tvm_deconv.backends.weights import without_weights
from tvm_deconv.errors import OutputError
from tvm_deconv.options import Options
from tvm_deconv.targets import resolve_target

NET = Net((1, 3, 8, 9))
BYTES = b"weights of " * 100_000
# Compilers, and what runs their programs here.
COMMANDS = {
    "gcc": [],
    "aarch64-linux-gnu-gcc": ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu"],
    "arm-linux-gnueabihf-gcc": ["qemu-arm-static", "-L", "/usr/arm-linux-gnueabihf"],
}
# Writes so many bytes from a symbol of a library.
LOADER = """
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(int count, char **words) {
  void *library = dlopen(words[1], RTLD_NOW);
  void *held = library ? dlsym(library, words[2]) : 0;
  if (!held) return fprintf(stderr, "%s", dlerror()), 1;
  size_t size = atoi(words[3]);
  return fwrite(held, 1, size, stdout) != size;
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A network of large weights, of which two are equal, and of small ones."""
    x, weight = NET.conv("x", 3, 40), NET.constant(40, 40, 3, 3, scale=0.05)
    for _ in range(2):
        x = NET("Conv", NET("Relu", x), weight, pads=[1] * 4)
    model = NET.model(NET.conv(x, 40, 3, k=1))
    target = compiler.for_threads(unoptimised(), None)
    passes = compiler.pipeline_of(target, Options(log=None, winograd=False))
    made = compiler.build(model, None, target, passes)
    return made.with_objects(tmp_path_factory.mktemp("objects"))


def result(path):
    main = relax.VirtualMachine(tvm.runtime.load_module(str(path)), tvm.cpu())["main"]
    return main(tvm.runtime.tensor(np.ones(NET.shape, "float32"))).numpy()


def test_what_is_written_is_what_tvm_packs_and_then_the_weights(built, tmp_path):
    lowered, weights = without_weights(built.lowered)
    # Of the three large ones two are equal.
    assert len(weights) == 2
    read_by_tvm = bytes(packed(replace(built, lowered=lowered).executable.mod))
    built.write(tmp_path / "net.so", linker(built.target))
    written = (tmp_path / "net.so").read_bytes()
    assert written.count(read_by_tvm) == 1
    behind = written[written.index(read_by_tvm) + len(read_by_tvm) :]
    for array in weights:
        assert behind.count(array.tobytes()) == written.count(array.tobytes()) == 1
    large = sum(array.nbytes for array in weights)
    assert len(read_by_tvm) < 20_000 < large < len(behind) < large + 1000


def test_a_library_computes_the_same_however_it_is_packed(built, tmp_path, monkeypatch):
    paths = [tmp_path / f"{name} \"'.so" for name in ("scripts", "object file", "TVM")]
    command = linker(built.target)
    built.write(paths[0], command)
    monkeypatch.setattr(packing, "_takes_scripts", lambda command: False)
    built.write(paths[1], command)
    for where in ("backends.linking", "built"):
        monkeypatch.setattr(f"tvm_deconv.{where}.takes_weights", lambda target: False)
    built.write(paths[2], command)
    ours, in_an_object, tvms = map(result, paths)
    np.testing.assert_array_equal(ours, tvms)
    np.testing.assert_array_equal(in_an_object, tvms)


def test_what_strips_a_library_leaves_its_weights(built, tmp_path):
    path = tmp_path / "net.so"
    built.write(path, linker(built.target))
    wanted = result(path)
    stripped = tmp_path / "stripped.so"
    subprocess.run(["strip", "-o", stripped, path], check=True)
    np.testing.assert_array_equal(result(stripped), wanted)


def test_no_room_is_said_in_one_line(built, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(packing, "fill", full)
    path = tmp_path / "net.so"
    with pytest.raises(OutputError, match=f"^cannot write {path}: No space left on device$"):
        built.write(path, linker(built.target))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_library_for_any_processor_has_what_it_holds_in_a_segment(command, tmp_path):
    for needed in (command, *COMMANDS[command][:1]):
        if shutil.which(needed) is None:
            pytest.skip(f"no {needed} here")
    held = _packing(command, BYTES)
    library = tmp_path / "out.so"
    source = held.pack(None, False, "", str(tmp_path))
    tvm.support.cc.create_shared(str(library), [source], held.options, cc=command)
    small = library.stat().st_size
    held.finish(library)
    assert library.stat().st_size < small + len(BYTES) + 2**16
    _assert_loaded(library, BYTES)
    read = subprocess.run(
        ["readelf", "--dyn-syms", "-W", library], capture_output=True, text=True, check=True
    )
    (symbol,) = (line for line in read.stdout.splitlines() if packing.SYMBOL in line)
    assert int(symbol.split()[2], 0) == len(BYTES)
    program = tmp_path / "loader"
    subprocess.run(
        [command, "-x", "c", "-", "-o", program, "-ldl"], input=LOADER, text=True, check=True
    )
    words = [program, library, packing.SYMBOL, str(len(BYTES))]
    run = subprocess.run([*COMMANDS[command], *words], capture_output=True, check=True)
    assert run.stdout == BYTES


def test_a_linker_without_scripts_gets_an_object_file(tmp_path):
    if shutil.which("ld.gold") is None:
        pytest.skip("no gold here")
    gold = tmp_path / "gcc-with-gold"
    gold.write_text('#!/bin/sh\nexec gcc -fuse-ld=gold "$@"\n')
    gold.chmod(0o755)
    held = _packing(str(gold), BYTES)
    made = held.pack(None, False, "", str(tmp_path))
    tvm.support.cc.create_shared(str(tmp_path / "out.so"), [made], held.options, cc=str(gold))
    held.finish(tmp_path / "out.so")
    assert (tmp_path / "out.so").read_bytes().count(BYTES) == 1


def test_paths_with_quotes_are_no_words_of_the_assembler(tmp_path):
    folder = tmp_path / 'a "quoted" \\ folder'
    folder.mkdir()
    command = linker(resolve_target("host"))
    held = _packing(command, BYTES)
    library = folder / "out.so"
    source = held.pack(None, False, "", str(folder))
    tvm.support.cc.create_shared(str(library), [source], held.options, cc=command)
    held.finish(library)
    assert library.read_bytes().endswith(BYTES)


def test_a_section_that_is_not_the_last_that_is_loaded_is_not_filled(tmp_path):
    source, library = tmp_path / "a.s", tmp_path / "a.so"
    source.write_text('.section .first, "a", %progbits\n.byte 0\n')
    tvm.support.cc.create_shared(str(library), [str(source)], cc="gcc")
    with pytest.raises(AssertionError):
        fill(library, ".first", [BYTES])


def _packing(command, held):
    """One of a module that holds these bytes."""
    made = Packing(command)
    made.content = lambda module: [held]
    return made


def _assert_loaded(library, held):
    """That a part of the file that is loaded, for reading only, begins with these bytes."""
    read = subprocess.run(["readelf", "-lW", library], capture_output=True, text=True, check=True)
    last = [line.split() for line in read.stdout.splitlines() if line.split()[:1] == ["LOAD"]][-1]
    offset, address, size, memory, alignment = (int(last[n], 16) for n in (1, 2, 4, 5, -1))
    assert last[6:-1] == ["R"] and size == memory == len(held)
    assert (offset - address) % alignment == 0
    assert library.read_bytes()[offset:].startswith(held)
