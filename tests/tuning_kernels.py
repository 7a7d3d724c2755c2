"""Artifacts for tests of the tuner's runner: a right kernel of a tiny layer, and bad ones in C."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import tvm
from tvm.support import cc

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.logs.layer import Candidate, Layer
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target
from tvm_deconv.tuning.build import packed
from tvm_deconv.tuning.case import case_folder, read_case, write_case

AXIS = Axis(4, 2, 1, 1)
LAYER = Layer(ConvTranspose2d(2, 3, AXIS, AXIS), Sizes(1, 5, 7))

# TVM's calling convention; a session passes tensors as pointers to a DLTensor, which begins with
# the pointer to the data.
_FRAME = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
typedef struct { int32_t type; uint32_t pad; union { int64_t number; float** tensor; }; } Any;
static float* y_of(const Any* arguments) { return *arguments[2].tensor; }
static void right(float* y) {
  FILE* file = fopen("EXPECTED", "rb");
  if (!file || fread(y, sizeof(float), COUNT, file) != COUNT) abort();
  fclose(file);
}
int __tvm_ffi_main(void* self, const Any* arguments, int32_t count, Any* result) {
  BODY
  return 0;
}
"""
BODIES = {
    "half": "float* y = y_of(arguments); for (int i = 0; i < COUNT / 2; ++i) y[i] = 0;",
    "later wrong": """
        static int calls = 0;
        right(y_of(arguments));
        if (calls++) y_of(arguments)[COUNT - 1] += 1;""",
    "crash": "*(volatile int*)8 = 1;",
    "exit": "_exit(0);",
    "endless": 'for (;;) __asm__ volatile("");',
    "slow": "right(y_of(arguments)); usleep(200000);",
}


def write_layer_case(root: Path) -> Path:
    """The case of ``LAYER``, under ``root``; its folder."""
    folder = case_folder(root, LAYER)
    write_case(LAYER, folder, seed=0)
    return folder


@cache
def _right_kernel() -> tuple[tvm.runtime.Executable, Candidate]:
    target = resolve_target("host")
    variant = VARIANTS["revd2"]
    parameters = variant.choose(LAYER.conv, LAYER.sizes, cpu_machine(target))
    candidate = Candidate(LAYER, variant, parameters)
    return tvm.compile(tvm.IRModule({"main": candidate.kernel()}), target=target), candidate


def right_artifact(case: Path, folder: Path) -> Path:
    """A kernel that computes the layer; the path of its library."""
    built, candidate = _right_kernel()
    _describe(case, folder)
    np.savez(folder / "packed.npz", *packed(candidate, np.load(case / "weight.npy")))
    built.export_library(str(folder / "kernel.so"))
    return folder / "kernel.so"


def c_artifact(case: Path, folder: Path, body: str) -> Path:
    """A kernel that does what ``BODIES`` says under this name; the path of its library."""
    _describe(case, folder)
    np.savez(folder / "packed.npz", np.zeros(1, "float32"))
    expected = read_case(case).expected
    expected.astype("float32").tofile(folder / "expected.bin")
    source = _FRAME.replace("BODY", BODIES[body])
    source = source.replace("EXPECTED", str(folder / "expected.bin"))
    (folder / "kernel.c").write_text(source.replace("COUNT", str(expected.size)))
    cc.create_shared(str(folder / "kernel.so"), [str(folder / "kernel.c")], cc="gcc")
    return folder / "kernel.so"


def _describe(case: Path, folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "case.json").write_text(json.dumps({"case": str(case)}))
