"""The inverse of a maximum pool: each value to the place that its index names, zeros elsewhere.

    for plane in parallel: y[plane] = 0; for i: y[plane, indices[plane, i]] = x[plane, i]

Planes are written apart, each in order: of values with one place the last one stays. Indices that
count through all planes may lead out of their own, which those of a pool never do: then all is
written once more, one after the other. An index that leads nowhere is passed over.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T

from tvm_deconv.annotations import WRITTEN_OUT
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.edit import index
from tvm_deconv.schedules.tir.writing import argument


def unpool_function(dtype: str, through_all: bool) -> tirx.PrimFunc:
    """Of x (planes, values), indices alike, of int64, and the result (planes, elements).

    ``through_all`` says that indices count through all planes, as ONNX has it, and not through
    their own, as PyTorch does.
    """
    planes, values, elements = (
        tirx.Var(name, "int64") for name in ("planes", "values", "elements")
    )
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_attr({"tirx.noalias": True})
        x = argument("x", (planes, values), dtype)
        indices = argument("indices", (planes, values), "int64")
        y = argument("y", (planes, elements), dtype)
        strays: Any = T.alloc_buffer((planes,), "int32") if through_all else None
        with T.parallel(index(0), planes) as plane:
            with T.serial(index(0), elements) as i:
                T.buffer_store(y, tirx.const(0, dtype), [plane, i])
            if through_all:
                T.buffer_store(strays, 0, [plane])
            with T.serial(index(0), values) as i:
                place = T.bind(indices[plane, i] - (plane * elements if through_all else 0))
                with T.If(tirx.all(place >= 0, place < elements)):
                    with T.Then():
                        T.buffer_store(y, x[plane, i], [plane, place])
                    if through_all:
                        with T.Else():
                            T.buffer_store(strays, 1, [plane])
        if through_all:
            _write_again(x, indices, y, strays)
    body = edit.in_root(builder.get().body)
    func = builder.get().with_body(body)
    return func.with_attr({WRITTEN_OUT: "MaxUnpool", "op_pattern": 8})


def _write_again(x: Any, indices: Any, y: Any, strays: Any) -> None:
    (planes, values), elements = x.shape, y.shape[1]
    found = T.alloc_buffer((index(1),), "int32")
    T.buffer_store(found, 0, [index(0)])
    with T.serial(index(0), planes) as plane:
        T.buffer_store(found, found[index(0)] + strays[plane], [index(0)])
    with (
        T.If(found[index(0)] > 0),
        T.Then(),
        T.serial(index(0), planes) as plane,
        T.serial(index(0), values) as i,
    ):
        place = T.bind(indices[plane, i])
        with T.If(tirx.all(place >= 0, place < planes * elements)), T.Then():
            T.buffer_store(y, x[plane, i], [place // elements, place % elements])
