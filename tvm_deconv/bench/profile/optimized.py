"""Which nodes of a model the kernels of ONNX Runtime store, by the graph that it optimized.

ONNX Runtime writes that graph to a file. A fused node keeps the name of its last result, mostly.
Convolutions in blocks of channels ("nchwc") do not: their nodes are called after the result that
the convolution had, and may add a map and apply an activation besides.
"""

from __future__ import annotations

import onnx

from tvm_deconv.frontends.onnx.nodes import attributes

from .nodes import ModelNodes

_BLOCKED_DOMAIN, _BLOCKED_SUFFIX = "com.microsoft.nchwc", "_nchwc"
# x, weight, bias, and what is added.
_WITH_SUM = 4


def stored_nodes(optimized: onnx.ModelProto, nodes: ModelNodes) -> dict[str, frozenset[str]]:
    """By the name of a node of ``optimized``: the nodes of the model whose results it stores.

    Nodes that only change the layout count to those that they are for.
    """
    graph = optimized.graph
    found = {node.name: _stored(node, nodes) for node in graph.node}
    readers: dict[str, list[str]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node.name)
    for node in reversed(graph.node):
        after = [reader for name in node.output for reader in readers.get(name, ())]
        if not found[node.name] and after:
            found[node.name] = found[after[0]]
    return found


def _stored(node: onnx.NodeProto, nodes: ModelNodes) -> frozenset[str]:
    made = {nodes.makers[name] for name in node.output if name in nodes.makers}
    if made:
        return frozenset(made)
    blocked = node.domain == _BLOCKED_DOMAIN and node.name.partition(_BLOCKED_SUFFIX)[0]
    last = node.name if node.name in nodes.operators else nodes.makers.get(blocked or "")
    if last is None:
        return frozenset()
    if node.domain == _BLOCKED_DOMAIN and node.op_type == "Conv":
        wanted = ["Add"] if len([name for name in node.input if name]) == _WITH_SUM else []
        wanted += [attributes(node)["activation"]] if "activation" in attributes(node) else []
        for operator in wanted:
            after = nodes.only_reader(last)
            if after is None or nodes.operators[after] != operator:
                break
            last = after
    return frozenset((last,))
