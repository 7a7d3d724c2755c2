"""Exported programs of PyTorch, held against PyTorch, which runs them operator by operator."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from operator import attrgetter

import numpy as np
import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind, OutputSpec, TensorArgument
from torch.func import functional_call
from torch.utils import _pytree as pytree

from tvm_deconv.errors import first_line
from tvm_deconv.frontends.torch.nodes import label
from tvm_deconv.frontends.torch.program import quiet

from .rounding import is_weight, nearby
from .subject import Layer, ReferenceRefusal, Subject


class TorchSubject(Subject):
    """An ``ExportedProgram``; its layers are the nodes of its graph, before any decomposition."""

    def __init__(
        self, program: ExportedProgram, weights: dict[str, torch.Tensor] | None = None
    ) -> None:
        """``weights`` stand for those of the program's module, by its names, when it runs."""
        self.model = program
        self._weights = weights or {}
        self.reference = f"PyTorch {torch.__version__}"
        specs = program.graph_signature.output_specs
        self.outputs = tuple(s.arg.name for s in specs if isinstance(s.arg, TensorArgument))

    @property
    def dtypes(self) -> frozenset[str]:
        records = (leaf for node in self.model.graph.nodes for leaf in _records(node))
        kinds = {record.dtype for record in records if record.dtype.is_floating_point}
        return frozenset(str(kind).removeprefix("torch.") for kind in kinds)

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        waiting = iter(inputs)
        flat = [
            torch.from_numpy(next(waiting).copy())
            if isinstance(spec.arg, TensorArgument)
            else spec.arg.value
            for spec in self.model.graph_signature.input_specs
            if spec.kind == InputKind.USER_INPUT
        ]
        args, kwargs = pytree.tree_unflatten(flat, self.model.call_spec.in_spec)
        with torch.no_grad(), quiet():
            try:
                found = functional_call(self._module, self._weights, args, kwargs)
            except Exception as error:  # operators and guards raise whatever they like
                raise ReferenceRefusal(first_line(error)) from error
        tensors = [value for value in pytree.tree_leaves(found) if isinstance(value, torch.Tensor)]
        return [tensor.detach().cpu().numpy() for tensor in tensors]

    def nearby(self, seed: int) -> TorchSubject:
        module = self._module
        names = {str(node.target) for node in module.graph.nodes if node.op == "get_attr"}
        moved = {}
        for name in names:
            tensor = attrgetter(name)(module)
            if not isinstance(tensor, torch.Tensor) or tensor.dtype == torch.bfloat16:
                continue  # the graph of a branch; a type that NumPy does not have
            values = tensor.detach().cpu().numpy()
            if is_weight(values):
                moved[name] = torch.from_numpy(nearby(values, seed))
        return TorchSubject(self.model, moved)

    def layers(self) -> list[Layer]:
        inputs = {
            spec.arg.name
            for spec in self.model.graph_signature.input_specs
            if spec.kind == InputKind.USER_INPUT
        }
        # What a node is computed from: layers, also through tuples and sizes, which are none.
        sources: dict[fx.Node, tuple[str, ...]] = {}
        layers = []
        for node in self.model.graph.nodes:
            if node.op == "placeholder" and node.name in inputs:
                sources[node] = ()
            read = [source for source in node.all_input_nodes if source in sources]
            if node.op != "call_function" or not read:
                continue
            before = tuple(dict.fromkeys(key for source in read for key in sources[source]))
            sources[node] = before
            if isinstance(node.meta.get("val"), torch.Tensor):
                layers.append(Layer(node.name, label(node), str(node.target), before))
                sources[node] = (node.name,)
        return layers

    def cut(self, key: str) -> TorchSubject:
        program = self.model
        with quiet():
            module, signature, calls = copy.deepcopy(
                (program.graph_module, program.graph_signature, program.module_call_graph)
            )
        nodes = list(module.graph.nodes)
        for node, original in zip(nodes, program.graph.nodes, strict=True):
            # A copied graph chooses names anew, others than builtins (an argument ``input`` is
            # ``input_1`` then), and a signature knows its nodes by their names.
            node.name = original.name
        (end,) = (node for node in nodes if node.name == key)
        (output,) = (node for node in nodes if node.op == "output")
        output.args = ((end,),)
        for node in reversed(nodes[nodes.index(end) + 1 :]):
            if node is not output and node.op != "placeholder":
                module.graph.erase_node(node)
        signature.output_specs = [OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(key), None)]
        _, returned = pytree.tree_flatten((0,))
        calls[0] = replace(calls[0], signature=replace(calls[0].signature, out_spec=returned))
        with quiet():
            part = ExportedProgram(
                root=module,
                graph=module.graph,
                graph_signature=signature,
                state_dict=program.state_dict,
                range_constraints=program.range_constraints,
                module_call_graph=calls,
                constants=program.constants,
                verifiers=program.verifiers,
            )
        return TorchSubject(part)

    @cached_property
    def _module(self) -> fx.GraphModule:
        return self.model.module()


def _records(node: fx.Node) -> Iterator[torch.Tensor]:
    for leaf in pytree.tree_leaves(node.meta.get("val")):
        if isinstance(leaf, torch.Tensor):
            yield leaf
