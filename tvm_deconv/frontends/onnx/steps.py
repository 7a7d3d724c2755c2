"""The nodes that are written in place of one, and the constants that they read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from .facts import Facts
from .nodes import label


class Steps:
    """Nodes in place of ``node``, called as it is; their tensors have its output before them."""

    def __init__(self, node: onnx.NodeProto, facts: Facts) -> None:
        self.node, self.facts = node, facts
        self.nodes: list[onnx.NodeProto] = []

    def constant(self, key: str, values: np.ndarray) -> str:
        """The name of a new weight."""
        name = self.facts.fresh(f"{self.node.output[0]}/{key}")
        self.facts.set_value(name, values)
        return name

    def __call__(
        self, kind: str, *operands: str, to: str | Sequence[str] = "", **options: Any
    ) -> str:
        """A node more; the name of its (first) output, which is ``to`` where that is given."""
        names = [to] if isinstance(to, str) else list(to)
        names[0] = names[0] or self.facts.fresh(f"{self.node.output[0]}/{kind}:{len(self.nodes)}")
        name = f"{label(self.node)}/{kind}"
        self.nodes.append(helper.make_node(kind, operands, names, name=name, **options))
        return names[0]
