"""Names of depthwise kernels of free sizes are in memory, and the machine code is the same."""

from __future__ import annotations

import pytest
import tvm
import tvm_ffi
from kernel import HOST, function
from tvm import tirx

from tvm_deconv.algebra.geometry import ConvAxis, ConvTranspose2d, axis_of_subpixel
from tvm_deconv.backends import lowering
from tvm_deconv.backends.lowering import PIPELINE, lean_lowering
from tvm_deconv.backends.registers import in_registers

AXIS = axis_of_subpixel(ConvAxis(3, 1, 1), 1)
DEPTHWISE = ConvTranspose2d(32, 32, AXIS, AXIS, 32)


def kernel_of(symbolic):
    return function("depthwise", DEPTHWISE, (1, 20, 40), symbolic=symbolic)[0]


def built(func, monkeypatch, change=in_registers):
    """The machine code, and the module that it is made of; ``change`` stands for the step."""
    seen = []

    def noted(mod):
        seen.append(change(mod))
        return seen[-1]

    monkeypatch.setattr(lowering, "in_registers", noted)
    with lean_lowering(HOST):
        library = tirx.build(tvm.IRModule({"main": func}), target=HOST, pipeline=PIPELINE)
    (mod,) = seen
    return library.inspect_source("asm"), mod


def named(mod):
    """The types of what has a name in a module's functions."""
    binds = []
    for func in mod.functions.values():
        tvm_ffi.structural_walk(func.body, (tirx.Bind, binds.append))
    return {str(bind.var.ty.dtype) for bind in binds if hasattr(bind.var.ty, "dtype")}


def test_names_of_a_free_size_are_in_memory_and_the_machine_code_is_the_same(monkeypatch):
    func = kernel_of("hw")
    code, mod = built(func, monkeypatch)
    whole, before = built(func, monkeypatch, lambda mod: mod)
    assert any(name.startswith("float32x") for name in named(before))
    assert not any(name.startswith("float32") for name in named(mod))
    assert code == whole


@pytest.mark.parametrize(("variant", "symbolic"), [("depthwise", ""), ("revd2", "hw")])
def test_other_kernels_stay(monkeypatch, variant, symbolic):
    func = function(variant, DEPTHWISE, (1, 20, 40), symbolic=symbolic)[0]
    _, mod = built(func, monkeypatch, lambda mod: mod)
    assert in_registers(mod).same_as(mod)
