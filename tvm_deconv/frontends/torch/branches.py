"""``torch.cond`` with a predicate that is known: the branch that is taken stands in its place.

    cond(p, true_graph, false_graph, (a, b)) => the nodes of true_graph, its inputs being a and b

where p follows from buffers and constants alone. Branches of branches are taken likewise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

_COND = torch.ops.higher_order.cond

# The value of a placeholder that is a weight; None for what is given when the program runs.
Weight = Callable[[fx.Node], torch.Tensor | None]


def all_nodes(program: ExportedProgram) -> Iterator[fx.Node]:
    """The nodes of the program's graph, and those of branches and turns in it."""
    for module in program.graph_module.modules():
        if isinstance(module, fx.GraphModule):
            yield from module.graph.nodes


def take_known_branches(program: ExportedProgram, weight: Weight) -> None:
    """Change the program's graph: what the module's docstring says."""
    module = program.graph_module
    known = _Known(weight)
    # A branch that is taken may have such nodes itself.
    while taken := [node for node in module.graph.nodes if _branch(node, known) is not None]:
        for node in taken:
            _inline(module, node, node.args[_branch(node, known)])


class _Known:
    """What nodes compute of weights and numbers alone."""

    def __init__(self, weight: Weight) -> None:
        self._weight = weight
        self._values: dict[fx.Node, Any] = {}

    def __call__(self, node: fx.Node) -> Any:
        """The value; None where it depends on what the program is given."""
        if node not in self._values:
            self._values[node] = self._compute(node)
        return self._values[node]

    def _compute(self, node: fx.Node) -> Any:
        if node.op == "placeholder":
            return self._weight(node)
        target = node.target
        if not isinstance(target, torch._ops.OpOverload) or target._schema.is_mutable:
            return None
        if torch.Tag.nondeterministic_seeded in target.tags:
            return None
        sources = {source: self(source) for source in node.all_input_nodes}
        if any(value is None for value in sources.values()):
            return None
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), sources.__getitem__)
        with torch.no_grad():
            return target(*args, **kwargs)


def _branch(node: fx.Node, known: _Known) -> int | None:
    """Which argument of a ``cond`` is the branch that is taken; None where that is not known."""
    if node.target is not _COND:
        return None
    predicate = node.args[0]
    value = known(predicate) if isinstance(predicate, fx.Node) else predicate
    return None if value is None else 1 if bool(value) else 2


def _inline(module: fx.GraphModule, node: Any, source: Any) -> None:
    """The nodes of the branch that ``source`` names, in place of ``node``."""
    branch, graph = getattr(module, source.target), module.graph
    inputs = [each for each in branch.graph.nodes if each.op == "placeholder"]
    new = dict(zip(inputs, node.args[3], strict=True))
    with graph.inserting_before(node):
        results = graph.graph_copy(branch.graph, new)
    for each in branch.graph.nodes:
        if each.op == "get_attr":
            name = f"{source.target}_{each.target}"
            setattr(module, name, getattr(branch, each.target))
            new[each].target = name
    for item in list(node.users):
        item.replace_all_uses_with(results[item.args[1]])
        graph.erase_node(item)
    graph.erase_node(node)
