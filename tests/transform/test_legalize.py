"""Padding by copies of the input reads the axes that it leaves alone as they are."""

from __future__ import annotations

import pytest
import tvm
import tvm_ffi
from quick_network import unoptimised
from relax_helpers import module
from tvm import relax
from tvm.ir import TensorLoad

from tvm_deconv.transform.legalize import legalize_passes


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_reads_the_axes_that_it_leaves_alone_as_they_are(mode):
    def pad(_builder, x):
        return relax.op.nn.pad(x, [0, 0, 0, 0, 3, 1, 0, 2], mode)

    passes = tvm.transform.Sequential(legalize_passes(unoptimised()))
    lowered = passes(module(pad, (2, 3, 5, 7)))
    (func,) = (f for _, f in lowered.functions_items() if isinstance(f, tvm.tirx.PrimFunc))
    loads = []
    tvm_ffi.structural_walk(func.body, (TensorLoad, loads.append))
    (load,) = loads
    plain = [isinstance(index, tvm.ir.Var) for index in load.indices]
    assert plain == [True, True, False, False]
