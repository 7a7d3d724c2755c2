"""What exporters split up, and the order of shuffles, as a user of the peer would write them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .onnx_graph import Node, OnnxGraph

# Activations that work on each element alike, so that channels can be reordered before them.
_ELEMENTWISE = {"Relu", "LeakyRelu", "Elu", "Tanh", "Sigmoid", "Clip"}

# A user of what the graph returns: nothing in front of it may be reordered, merged or removed.
_CALLER = Node("", "", [], {})


def as_users_write(graph: OnnxGraph, mode: str) -> None:
    """Both: shuffles of ``mode``, CRD or DCR, and what exporters split up merged."""
    merge_composites(graph)
    shuffles_in_order(graph, mode)


def shuffles_in_order(graph: OnnxGraph, mode: str) -> None:
    """Turn the DepthToSpace nodes that directly follow a convolution to ``mode``, CRD or DCR.

    Channel c of phase p is channel ``c * r² + p`` in CRD and ``p * C + c`` in DCR: the convolution
    in front gets its output channels reordered, which costs nothing later.
    """
    for node in graph.nodes:
        if node.op != "DepthToSpace" or node.attributes.get("mode", "DCR") == mode:
            continue
        conv = _convolution_before(graph, node)
        if conv is None:
            continue
        phases = node.attributes["blocksize"] ** 2
        channels = graph.shapes[node.inputs[0]][1] // phases
        split = (channels, phases) if mode == "DCR" else (phases, channels)
        order = np.arange(channels * phases).reshape(split).T.reshape(-1)
        for i in range(1, len(conv.inputs)):
            if conv.inputs[i]:
                name = f"{conv.inputs[i]}_for_{conv.name}"
                graph.constants[name] = np.ascontiguousarray(graph.weight(conv, i)[order])
                graph.shapes[name] = graph.constants[name].shape
                conv.inputs[i] = name
        node.attributes["mode"] = mode


def without_dcr(graph: OnnxGraph) -> None:
    """Write the DepthToSpace nodes of mode DCR as ones of CRD behind a shuffle of channels."""
    made: list[Node] = []
    for node in graph.nodes:
        if node.op == "DepthToSpace" and node.attributes.get("mode", "DCR") == "DCR":
            (x,), phases = node.inputs, node.attributes["blocksize"] ** 2
            n, c, h, w = graph.shapes[x]
            split, swapped, shuffled = (f"{node.name}_{key}" for key in ("split", "swap", "join"))
            for name, shape in ((split, (n, phases, c // phases, h, w)), (shuffled, (n, c, h, w))):
                graph.constants[f"{name}_shape"] = np.array(shape, np.int64)
                graph.shapes[f"{name}_shape"], graph.shapes[name] = (len(shape),), shape
            graph.shapes[swapped] = (n, c // phases, phases, h, w)
            made.append(Node("Reshape", split, [x, f"{split}_shape"], {}))
            made.append(Node("Transpose", swapped, [split], {"perm": [0, 2, 1, 3, 4]}))
            made.append(Node("Reshape", shuffled, [swapped, f"{shuffled}_shape"], {}))
            node.inputs, node.attributes = [shuffled], {**node.attributes, "mode": "CRD"}
        made.append(node)
    graph.nodes[:] = made


def _convolution_before(graph: OnnxGraph, node: Node) -> Node | None:
    """The Conv whose result, with nothing but elementwise activations, only ``node`` uses."""
    makers = {each.name: each for each in graph.nodes}
    before = makers.get(node.inputs[0])
    while before is not None and len(_users(graph, before.name)) == 1:
        if before.op == "Conv":
            # Channels of different groups cannot change places.
            return before if before.attributes.get("group", 1) == 1 else None
        if before.op not in _ELEMENTWISE:
            return None
        before = makers.get(before.inputs[0])
    return None


def _users(graph: OnnxGraph, name: str) -> list[Node]:
    users = [node for node in graph.nodes if name in node.inputs]
    return [*users, _CALLER] if name in graph.outputs else users


def merge_composites(graph: OnnxGraph) -> None:
    """Fold batch norms; write group norm and SiLU as ``GroupNorm`` and ``Silu``.

    GroupNorm has the operands x, scale and shift, both of shape (C,), and the attributes
    ``num_groups`` and ``epsilon``; both are named here, since ONNX's opset 17 has neither.
    """
    fold_batch_norms(graph)
    for node in list(graph.nodes):
        if node.op == "InstanceNormalization":
            _merge_group_norm(graph, node)
        elif node.op == "Mul":
            _merge_silu(graph, node)


def fold_batch_norms(graph: OnnxGraph) -> None:
    """Put them into the weights of the convolutions in front of them."""
    for node in list(graph.nodes):
        if node.op == "BatchNormalization":
            _fold_batch_norm(graph, node)


def _fold_batch_norm(graph: OnnxGraph, norm: Node) -> None:
    """conv(x) * f + g, both by output channel, as one convolution."""
    conv = next((node for node in graph.nodes if node.name == norm.inputs[0]), None)
    if conv is None or conv.op not in ("Conv", "ConvTranspose"):
        return
    grouped = conv.op == "ConvTranspose" and conv.attributes.get("group", 1) != 1
    if grouped or len(_users(graph, conv.name)) != 1:
        return
    scale, shift, mean, variance = (graph.weight(norm, i) for i in (1, 2, 3, 4))
    factor = scale / np.sqrt(variance + norm.attributes.get("epsilon", 1e-5))
    weight, bias = graph.weight(conv, 1), graph.constant(conv, 2)
    outputs = (-1, 1, 1, 1) if conv.op == "Conv" else (1, -1, 1, 1)
    new_bias = shift + factor * ((0 if bias is None else bias) - mean)
    names = [f"{conv.name}_{key}" for key in ("weight", "bias")]
    for name, value in zip(names, (weight * factor.reshape(outputs), new_bias), strict=True):
        graph.constants[name] = value.astype(np.float32)
        graph.shapes[name] = value.shape
    norm.op, norm.attributes = conv.op, conv.attributes
    norm.inputs = [conv.inputs[0], *names]
    graph.nodes.remove(conv)


def _merge_silu(graph: OnnxGraph, product: Node) -> None:
    """x * sigmoid(x)"""
    for x, gate_name in (product.inputs, product.inputs[::-1]):
        gate = next((node for node in graph.nodes if node.name == gate_name), None)
        if gate is not None and gate.op == "Sigmoid" and gate.inputs == [x]:
            product.op, product.inputs = "Silu", [x]
            if not _users(graph, gate.name):
                graph.nodes.remove(gate)
            return


@dataclass
class _Chain:
    """Nodes that follow each other, each the only user of the one before."""

    graph: OnnxGraph
    last: Node

    def next(self, op: str) -> Node | None:
        users = _users(self.graph, self.last.name)
        if len(users) != 1 or users[0].op != op:
            return None
        self.last = users[0]
        return self.last


def _merge_group_norm(graph: OnnxGraph, norm: Node) -> None:
    """Reshape to (1, groups, -1), InstanceNormalization, Reshape back, Mul and Add by channel."""
    makers = {node.name: node for node in graph.nodes}
    before = makers.get(norm.inputs[0])
    if before is None or before.op != "Reshape" or len(_users(graph, before.name)) != 1:
        return
    x, groups = before.inputs[0], graph.shapes[before.name][1]
    shape = graph.shapes[x]
    chain = _Chain(graph, norm)
    after, mul, add = (chain.next(op) for op in ("Reshape", "Mul", "Add"))
    if after is None or mul is None or add is None or graph.shapes[after.name] != shape:
        return
    scale, shift = (_by_channel(graph, node, shape[1]) for node in (mul, add))
    plain = np.all(graph.weight(norm, 1) == 1) and np.all(graph.weight(norm, 2) == 0)
    if scale is None or shift is None or not plain or graph.shapes[before.name][0] != shape[0]:
        return
    for key, value in (("scale", scale), ("shift", shift)):
        graph.constants[f"{add.name}_{key}"] = value
        graph.shapes[f"{add.name}_{key}"] = value.shape
    add.op = "GroupNorm"
    add.inputs = [x, f"{add.name}_scale", f"{add.name}_shift"]
    add.attributes = {"num_groups": groups, "epsilon": norm.attributes.get("epsilon", 1e-5)}
    merged = {node.name for node in (before, norm, after, mul)}
    graph.nodes[:] = [node for node in graph.nodes if node.name not in merged]


def _by_channel(graph: OnnxGraph, node: Node, channels: int) -> np.ndarray | None:
    """The constant operand of the Mul or Add ``node``, if it has one value for each channel."""
    for name in node.inputs:
        value = graph.constants.get(name)
        if value is not None and value.shape[-3:] == (channels, 1, 1) and value.size == channels:
            return value.reshape(-1)
    return None
