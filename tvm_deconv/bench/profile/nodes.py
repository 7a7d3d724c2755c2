"""Which nodes of a model a kernel computes, by the names of the nodes whose results it stores.

A kernel is known by its results. What is stored by no kernel was computed on the way to the next
that is: so the nodes of a kernel are those that make its results, and from there back whatever no
other kernel stores. A node that several kernels compute, each for itself, belongs to all of them::

    Conv -> Add -> Relu    stored: Conv, Relu    =>    {Conv}, {Add, Relu}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import onnx

from tvm_deconv.frontends.onnx.nodes import label, reads

# Nothing moves: no kernel of ours, and of ONNX Runtime's one that copies nothing.
_FREE = frozenset(("Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"))
# What depends on sizes only is computed before the network runs, or takes no time.
_SIZES = frozenset(("Shape", "Size"))


def with_unique_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy in which each node has a name that no other has: its own where that is possible."""
    named = onnx.ModelProto()
    named.CopyFrom(model)
    count = Counter(label(node) for node in named.graph.node)
    taken = set(count)
    for node in named.graph.node:
        name = label(node)
        if count[name] > 1:
            number = 1
            while f"{name}#{number}" in taken:
                number += 1
            name = f"{name}#{number}"
            taken.add(name)
        node.name = name
    return named


class ModelNodes:
    """The nodes of a model's graph, by name, that compute something of its inputs.

    Of a model of ``with_unique_names``. A node with branches or a body is one node.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        graph = model.graph
        weights = {tensor.name for tensor in graph.initializer}
        computed = {value.name for value in graph.input if value.name not in weights}
        sizes: set[str] = set()
        self.operators: dict[str, str] = {}
        self.makers: dict[str, str] = {}
        self._sources: dict[str, list[str]] = {}
        self._readers: dict[str, list[str]] = {}
        for node in _in_order(graph):
            read = reads(node) & computed
            if not read:
                continue
            computed.update(node.output)
            if node.op_type in _SIZES or read <= sizes:
                sizes.update(node.output)
                continue
            sources = {self.makers[name] for name in read if name in self.makers}
            self.operators[node.name] = node.op_type
            self._sources[node.name] = sorted(sources)
            for source in sources:
                self._readers.setdefault(source, []).append(node.name)
            self.makers.update({name: node.name for name in node.output if name})

    def only_reader(self, name: str) -> str | None:
        """The node that reads the results of another, where there is one alone."""
        readers = self._readers.get(name, [])
        return readers[0] if len(readers) == 1 else None

    def computed(self, stored: Sequence[Collection[str]]) -> list[tuple[str, ...]]:
        """The nodes that each of several kernels computes, given those that it stores.

        ``stored`` are all kernels of a runtime. Names that no node has count for nothing; a kernel
        of such names alone computes no node that is known.
        """
        own = [{name for name in names if name in self.operators} for names in stored]
        known = set().union(*own)
        return [self._region(names, known) for names in own]

    def _region(self, stored: set[str], known: set[str]) -> tuple[str, ...]:
        found, waiting = set(stored), list(stored)
        while waiting:
            before = {*self._sources[waiting.pop()]} - found - known
            found |= before
            waiting += before
        free = {name for name in found - stored if self.operators[name] in _FREE}
        return tuple(name for name in self.operators if name in found - free)


def _in_order(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Every node behind those that it reads, in whichever order they stand in the file."""
    made = {name for node in graph.node for name in node.output}
    ready: set[str] = set()
    found, left = [], list(graph.node)
    while left:
        waiting = []
        for node in left:
            if reads(node) & made <= ready:
                found.append(node)
                ready.update(node.output)
            else:
                waiting.append(node)
        if len(waiting) == len(left):
            break  # a circle: nobody runs such a model
        left = waiting
    return found
