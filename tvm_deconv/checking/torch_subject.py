"""Exported programs of PyTorch, held against PyTorch, which runs them operator by operator."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import (
    InputKind,
    OutputKind,
    OutputSpec,
    TensorArgument,
)
from torch.utils import _pytree as pytree

from tvm_deconv.errors import first_line
from tvm_deconv.frontends.torch.nodes import label

from .rounding import is_weight, nearby
from .subject import Layer, ReferenceRefusal, Subject


class TorchSubject(Subject):
    """An ``ExportedProgram``; its layers are the nodes of its graph, before any decomposition."""

    def __init__(self, program: ExportedProgram) -> None:
        self.model = program
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
        with torch.no_grad(), _quiet():
            try:
                found = self._module(*args, **kwargs)
            except Exception as error:  # operators and guards raise whatever they like
                raise ReferenceRefusal(first_line(error)) from error
        tensors = [value for value in pytree.tree_leaves(found) if isinstance(value, torch.Tensor)]
        return [tensor.detach().cpu().numpy() for tensor in tensors]

    def nearby(self, seed: int) -> TorchSubject:
        def moved(tensor: Any) -> Any:
            if not isinstance(tensor, torch.Tensor) or tensor.dtype == torch.bfloat16:
                return tensor
            values = tensor.detach().cpu().numpy()
            if not is_weight(values):
                return tensor
            new = torch.from_numpy(nearby(values, seed))
            kept = isinstance(tensor, torch.nn.Parameter)
            return torch.nn.Parameter(new, tensor.requires_grad) if kept else new

        program = self.model
        return TorchSubject(
            _rebuilt(
                program,
                state_dict={key: moved(value) for key, value in program.state_dict.items()},
                constants={key: moved(value) for key, value in program.constants.items()},
            )
        )

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
        module = copy.deepcopy(self.model.graph_module)
        nodes = list(module.graph.nodes)
        (end,) = (node for node in nodes if node.name == key)
        (output,) = (node for node in nodes if node.op == "output")
        output.args = ((end,),)
        for node in reversed(nodes[nodes.index(end) + 1 :]):
            if node is not output and node.op != "placeholder":
                module.graph.erase_node(node)
        with _quiet():
            signature, calls = copy.deepcopy(
                (self.model.graph_signature, self.model.module_call_graph)
            )
        signature.output_specs = [OutputSpec(OutputKind.USER_OUTPUT, TensorArgument(key), None)]
        _, returned = pytree.tree_flatten((0,))
        calls[0] = replace(calls[0], signature=replace(calls[0].signature, out_spec=returned))
        program = _rebuilt(self.model, module=module, signature=signature, calls=calls)
        return TorchSubject(program)

    @cached_property
    def _module(self) -> torch.nn.Module:
        return self.model.module()


def _rebuilt(
    program: ExportedProgram,
    *,
    module: fx.GraphModule | None = None,
    signature: Any = None,
    calls: Any = None,
    state_dict: Mapping[str, Any] | None = None,
    constants: Mapping[str, Any] | None = None,
) -> ExportedProgram:
    """The program with the parts that are given, and its own otherwise; it is not changed."""
    with _quiet():
        root = copy.deepcopy(program.graph_module) if module is None else module
        own_signature, own_calls = copy.deepcopy(
            (program.graph_signature, program.module_call_graph)
        )
        return ExportedProgram(
            root=root,
            graph=root.graph,
            graph_signature=own_signature if signature is None else signature,
            state_dict=program.state_dict if state_dict is None else dict(state_dict),
            range_constraints=program.range_constraints,
            module_call_graph=own_calls if calls is None else calls,
            constants=program.constants if constants is None else dict(constants),
            verifiers=program.verifiers,
        )


def _records(node: fx.Node) -> Iterator[torch.Tensor]:
    for leaf in pytree.tree_leaves(node.meta.get("val")):
        if isinstance(leaf, torch.Tensor):
            yield leaf


@contextmanager
def _quiet() -> Iterator[None]:
    """Without PyTorch's remarks about its own future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
