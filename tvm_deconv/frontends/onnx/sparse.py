"""Weights that a file holds without their zeros, with them.

The standard has such weights beside others and as values of Constant; their places are numbers of
elements, or one number for each axis.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tvm_deconv.errors import ModelError, first_line

from .nodes import all_nodes, bodies

# With its zeros: 4 GB of float32.
_MOST_ELEMENTS = 1 << 30


def with_zeros(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """The model with dense weights only; itself if it has no others. It is not changed.

    Raises ModelError for weights whose places do not fit, and for more than a machine holds.
    """
    if not _holders(model):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for holder in _holders(copy):
        if isinstance(holder, onnx.GraphProto):
            holder.initializer.extend(_dense(one, name) for one in holder.sparse_initializer)
            del holder.sparse_initializer[:]
        else:
            value = _dense(holder.sparse_tensor, name)
            holder.CopyFrom(helper.make_attribute("value", value))
    return copy


def _holders(model: onnx.ModelProto) -> list[onnx.GraphProto | onnx.AttributeProto]:
    """Graphs with sparse weights, and attributes that are one."""
    nodes = list(all_nodes(model.graph))
    for function in model.functions:
        for node in function.node:
            nodes += [node, *(inner for body in bodies(node) for inner in all_nodes(body))]
    graphs = [model.graph, *(body for node in nodes for body in bodies(node))]
    found: list[onnx.GraphProto | onnx.AttributeProto] = []
    found += [graph for graph in graphs if graph.sparse_initializer]
    found += [
        given
        for node in nodes
        for given in node.attribute
        if node.op_type == "Constant" and given.name == "sparse_value"
    ]
    return found


def _dense(sparse: onnx.SparseTensorProto, name: str) -> onnx.TensorProto:
    key, shape = sparse.values.name, list(sparse.dims)
    what = f"{name}: sparse weight {key!r} of shape {shape}"
    if any(size < 0 for size in shape) or prod(shape) > _MOST_ELEMENTS:
        raise ModelError(f"{what} has more elements than can be computed, or less than none")
    try:
        values = numpy_helper.to_array(sparse.values).ravel()
        places = numpy_helper.to_array(sparse.indices).astype(np.int64)
        if places.ndim == 2:
            places = np.ravel_multi_index(tuple(places.T), shape)
        whole = np.zeros(prod(shape), values.dtype)
        if places.shape != values.shape or (places < 0).any():
            raise ValueError(f"{places.size} places for {values.size} values")
        whole[places] = values
    except (LookupError, TypeError, ValueError) as error:
        raise ModelError(f"{what} is damaged: {first_line(error)}") from error
    return numpy_helper.from_array(whole.reshape(shape), key)
