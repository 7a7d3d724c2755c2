"""A table of single ONNX nodes, all of one opset in one graph, so that they are compiled once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from quick_network import compiled
from rows_compare import compare

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

_RNG = np.random.default_rng(0)

# Largest difference, relative to the largest value or 1.
TOLERANCE = {"float16": 2e-3, "float32": 3e-6, "float64": 1e-6}


def same_numbers():
    """Begin the random numbers anew, so that they do not depend on which tables come before."""
    global _RNG
    _RNG = np.random.default_rng(0)


def floats(*shape, dtype="float32"):
    return _RNG.standard_normal(shape).astype(dtype)


# By row: pairs of what we compute and what the judge says, one for each output.
Results = dict[int, list[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class Constant:
    array: np.ndarray


def c(values, dtype=None):
    """A weight, where a bare array is an input."""
    return Constant(np.asarray(values, dtype))


def ints(*values):
    return Constant(np.array(values, "int64"))


@dataclass(frozen=True, eq=False)
class Row:
    """One node. ``free`` are axes of the first input whose size has no number in the model.

    ``judge`` is "ort" for ONNX Runtime, "standard" for the reference in the package onnx.
    """

    operator: str
    operands: tuple[Any, ...]
    opset: int = 13
    outputs: int = 1
    free: tuple[int, ...] = ()
    judge: str = "ort"
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        options = [f"{key}={value}" for key, value in self.attributes.items()]
        kinds = sorted({str(_array(o).dtype) for o in self.operands if o is not None})
        if kinds != ["float32"]:
            options.append("/".join(kinds))
        shapes = [
            str(list(_array(o).shape)).replace(" ", "") for o in self.operands if o is not None
        ]
        options += ["free"] if self.free else []
        return f"{self.operator}-{self.opset} {' '.join(options)} {' '.join(shapes)}"


def row(operator, *operands, opset=13, outputs=1, free=(), judge="ort", **attributes):
    return Row(operator, operands, opset, outputs, tuple(free), judge, attributes)


def _array(operand):
    return operand.array if isinstance(operand, Constant) else np.asarray(operand)


def model_of(rows: Sequence[Row]) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The rows side by side in one graph, with the inputs to run it on."""
    nodes, weights, values, infos, results = [], [], {}, [], []
    for i, one in enumerate(rows):
        names = []
        for j, operand in enumerate(one.operands):
            name = "" if operand is None else f"r{i}_{j}"
            names.append(name)
            if isinstance(operand, Constant):
                weights.append(numpy_helper.from_array(operand.array, name))
            elif operand is not None:
                array = np.asarray(operand)
                values[name] = array
                dims = [
                    f"{name}_{a}" if j == 0 and a in one.free else n
                    for a, n in enumerate(array.shape)
                ]
                kind = helper.np_dtype_to_tensor_dtype(array.dtype)
                infos.append(helper.make_tensor_value_info(name, kind, dims))
        outputs = [f"y{i}_{k}" for k in range(one.outputs)]
        nodes.append(helper.make_node(one.operator, names, outputs, name=f"n{i}", **one.attributes))
        results += [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph(nodes, "rows", infos, results, weights)
    opset = rows[0].opset
    domains = {one.attributes["domain"] for one in rows if "domain" in one.attributes}
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(
        graph, opset_imports=opsets, ir_version=10 if opset > 20 else 8
    ), values


def judged(rows: Sequence[Row]) -> list[np.ndarray]:
    """What the judges of the rows say, output by output."""
    by_judge = {judge: [r for r in rows if r.judge == judge] for judge in ("ort", "standard")}
    found = {}
    for judge, mine in by_judge.items():
        if mine:
            model, values = model_of(mine)
            if judge == "ort":
                options = onnxruntime.SessionOptions()
                options.log_severity_level = 4
                session = onnxruntime.InferenceSession(model.SerializeToString(), options)
                results = iter(session.run(None, values))
            else:
                results = iter(ReferenceEvaluator(model).run(None, values))
            for one in mine:
                found[id(one)] = [np.asarray(next(results)) for _ in range(one.outputs)]
    return [array for one in rows for array in found[id(one)]]


def run(rows: Sequence[Row]) -> list[np.ndarray]:
    """What our build of the rows gives, output by output."""
    model, values = model_of(rows)
    got = compiled(model)(*(tvm.runtime.tensor(array) for array in values.values()))
    return [array.numpy() for array in ([got] if hasattr(got, "numpy") else got)]


class Table:
    """Rows that are computed; those of one opset are compiled together, once."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)
        self._results: dict[int, Results | Exception] = {}

    def _of(self, opset: int) -> Results:
        """Failures are kept, too: every row of the opset would compile for nothing."""
        if opset not in self._results:
            rows = [r for r in self.rows if r.opset == opset]
            try:
                pairs = iter(zip(run(rows), judged(rows), strict=True))
                found = {id(r): [next(pairs) for _ in range(r.outputs)] for r in rows}
                self._results[opset] = found
            except Exception as error:
                self._results[opset] = error
        found = self._results[opset]
        if isinstance(found, Exception):
            raise found
        return found

    def check(self, one: Row) -> None:
        for got, expected in self._of(one.opset)[id(one)]:
            compare(got, expected, TOLERANCE)


def check_refused(one: Row, reason: str) -> None:
    """A node that is not computed is refused by name, in one line."""
    with pytest.raises(ModelError, match=reason) as caught:
        load(model_of([one])[0])
    assert f"rows: {one.operator} 'n0' (opset {one.opset})" in str(caught.value)
    assert "\n" not in str(caught.value)
