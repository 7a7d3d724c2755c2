"""A small image-to-image network."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

# Of free sizes it is compiled in a tenth of the time of that which is chosen for one channel.
QUICK = "tdc"


def upscaler(channels=1, dims=("n", "h", "w"), operator="Relu", tail=()) -> onnx.ModelProto:
    """conv(3x3) to 4 x channels, a pointwise operator, pixel shuffle by 2."""
    rng = np.random.default_rng(7)
    weight = rng.normal(0, 0.2, (4 * channels, channels, 3, 3)).astype(np.float32)
    bias = rng.uniform(0.2, 0.5, 4 * channels).astype(np.float32)
    weights = [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")]
    nodes = [
        helper.make_node("Conv", ["x", "weight", "bias"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node(operator, ["c"], ["a"]),
        helper.make_node("DepthToSpace", ["a"], ["y"], blocksize=2, mode="CRD"),
        *tail,
    ]
    batch, height, width = dims
    out = nodes[-1].output[0]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, channels, height, width])],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)],
        weights,
    )
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)
