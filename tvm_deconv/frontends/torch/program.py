"""An ``ExportedProgram`` as a Relax module: decomposed, checked, translated."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import tvm
from torch.export import ExportedProgram
from torch.export.graph_signature import (
    ConstantArgument,
    InputKind,
    InputSpec,
    OutputKind,
    TensorArgument,
)
from tvm import relax, tirx

from tvm_deconv.errors import ModelError
from tvm_deconv.layer_names import named

from .branches import all_nodes, take_known_branches
from .guards import Input, ask, required
from .nodes import described, name_of
from .recurrent import has_projection
from .sizes import Sizes, integer
from .table import CONVERTERS
from .translation import Translation
from .values import dtype_name

_WEIGHTS = (InputKind.PARAMETER, InputKind.BUFFER, InputKind.CONSTANT_TENSOR)


def from_exported_program(program: ExportedProgram) -> tvm.IRModule:
    """The program as a module with the entry ``main``.

    The parameters of ``main`` are the tensors among the program's inputs, in its order and with
    its names; the weights are constants inside. It returns the output, or a tuple of all outputs in
    the order in which PyTorch flattens them; those that are None are left out.

    Raises ModelError for an operator that is not supported, for weights, inputs and outputs that
    are no plain tensors, for a program that changes its buffers or inputs, and for shapes that
    depend on data.
    """
    program = _decomposed(program)
    _check_signature(program)
    translation = Translation(CONVERTERS)
    parameters, checked, conditions = _inputs(program, translation)
    builder, failure = translation.builder, None
    with builder.function("main", parameters):
        ask(builder, conditions)
        with builder.dataflow():
            try:
                for node, variable, ty in checked:
                    known = variable if ty is None else builder.match_cast(variable, ty)
                    translation.env[node] = known
                outputs = _outputs(program, translation.graph(program.graph_module))
            except ModelError as error:
                # TVM complains on stderr about a function that is left without an end.
                outputs, failure = [relax.Tuple([])], error
            whole = outputs[0] if len(outputs) == 1 else relax.Tuple(outputs)
            result = builder.emit_output(whole, "output")
        builder.emit_func_output(result)
    if failure is not None:
        raise failure
    mod = named(builder.finalize(), translation.names)
    return relax.transform.DeadCodeElimination()(mod)


def _decomposed(program: ExportedProgram) -> ExportedProgram:
    """The program in PyTorch's core operators, and in those that we have converters for.

    Operators that are neither are brought there by PyTorch's other decompositions. Of a condition
    that is known only the branch that is taken is left.
    """
    if all(_is_translated(node) for node in program.graph.nodes):
        return program
    for node in program.graph.nodes:
        _check_alias(node)
    table = torch.export.default_decompositions()
    left = {name_of(node) for node in program.graph.nodes if has_projection(node)}
    for overload in list(table):
        if str(overload) in CONVERTERS and str(overload) not in left:
            table.pop(overload)
    program = _run_decompositions(program, table)
    others = {
        node.target: torch._decomp.decomposition_table[node.target]
        for node in all_nodes(program)
        if node.target in torch._decomp.decomposition_table and str(node.target) not in CONVERTERS
    }
    if others:
        program = _run_decompositions(program, {**table, **others})
    specs = {spec.arg.name: spec for spec in program.graph_signature.input_specs}

    def weight(node: torch.fx.Node) -> torch.Tensor | None:
        spec = specs[node.name]
        return _weight(program, spec) if spec.kind in _WEIGHTS else None

    take_known_branches(program, weight)
    return program


def _check_alias(node: Any) -> None:
    """Dropout gives its input back in evaluation; PyTorch's decomposition makes a copy of it."""
    if not isinstance(node.target, torch._ops.OpOverload) or not node.target._schema.is_mutable:
        return
    source = node.args[0]
    if "dropout" in str(source.target) and len(source.args[0].users) > 1:
        raise ModelError(
            f"{described(node)}: it changes in place what dropout was given, and others read: "
            "use the operator that gives a new tensor"
        )


def _is_translated(node: Any) -> bool:
    """True for what needs no decomposition; what works in place needs it."""
    if node.op != "call_function":
        return node.op != "get_attr"
    number = isinstance(node.meta.get("val"), (torch.SymInt, torch.SymFloat, torch.SymBool))
    is_known = name_of(node) in CONVERTERS and not has_projection(node)
    return number or node.target is operator.getitem or is_known


def _run_decompositions(program: ExportedProgram, table: dict) -> ExportedProgram:
    with quiet():
        try:
            return program.run_decompositions(table)
        except Exception as error:
            for node in program.graph.nodes:
                value = node.meta.get("val")
                if isinstance(value, torch.Tensor) and value.is_complex():
                    raise ModelError(
                        f"{described(node)}: its result is complex: compute with real and "
                        "imaginary parts"
                    ) from error
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise ModelError(f"PyTorch cannot decompose the program: {lines[0]}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without PyTorch's remarks about its own future."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _check_signature(program: ExportedProgram) -> None:
    for spec in program.graph_signature.output_specs:
        if spec.kind == OutputKind.BUFFER_MUTATION:
            raise ModelError(
                f"the program changes its buffer {spec.target!r} whenever it runs: "
                "export the module after .eval(), or without that buffer"
            )
        if spec.kind == OutputKind.USER_INPUT_MUTATION:
            raise ModelError(
                f"the program changes its input {spec.target!r} in place: let it work on a copy"
            )
        if spec.kind not in (OutputKind.USER_OUTPUT, OutputKind.LOSS_OUTPUT):
            raise ModelError(f"the program has an output of the kind {spec.kind.name}")


def _inputs(
    program: ExportedProgram, translation: Translation
) -> tuple[
    list[relax.Var],
    list[tuple[torch.fx.Node, relax.Var, relax.TensorType | None]],
    list[tirx.Expr],
]:
    """The parameters of ``main``, for each its placeholder with a type to check or None, and what
    is required of their sizes."""
    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    tensors: list[tuple[int, torch.fx.Node]] = []
    given = 0
    for spec in program.graph_signature.input_specs:
        node = nodes[spec.arg.name]
        given += spec.kind == InputKind.USER_INPUT
        if spec.kind in _WEIGHTS:
            translation.env[node] = _weight(program, spec)
        elif spec.kind != InputKind.USER_INPUT:
            raise ModelError(f"input {spec.arg.name!r} is of the kind {spec.kind.name}")
        elif isinstance(spec.arg, TensorArgument):
            tensors.append((given - 1, node))
        elif isinstance(spec.arg, ConstantArgument):
            translation.env[node] = spec.arg.value
        else:
            raise ModelError(
                f"input {spec.arg.name!r} is a number: export the module with the number fixed"
            )
    read = _Dimensions([node for _, node in tensors], translation.sizes)
    parameters, checked, inputs = [], [], []
    for number, node in tensors:
        record = node.meta["val"]
        dtype = dtype_name(record.dtype)
        declared = [read.declared(size) for size in record.shape]
        variable = relax.Var(node.name, relax.TensorType(declared, dtype))
        known = [integer(size) for size in translation.sizes.shape(record)]
        same = all(map(translation.sizes.equal, declared, known))
        parameters.append(variable)
        checked.append((node, variable, None if same else relax.TensorType(known, dtype)))
        inputs.append(Input(number, node, declared))
    conditions = [*read.conditions, *required(program, inputs, translation.sizes)]
    return parameters, checked, conditions


class _Dimensions:
    """A variable for each free dimension of the inputs, called ``x_axis2``.

    A symbol that is a whole dimension somewhere is that variable. One that only occurs in formulas
    (``2*s0``) is solved for: the dimension gets the variable d, s0 is d // 2, and of the
    ``conditions`` one is that nothing is left over.
    """

    def __init__(self, nodes: Sequence[torch.fx.Node], sizes: Sizes) -> None:
        self._own: dict[Any, tirx.Var] = {}
        self._sizes = sizes
        self.conditions: list[tirx.Expr] = []
        formulas = [
            (size.node.expr, f"{node.name}_axis{axis}")
            for node in nodes
            for axis, size in enumerate(node.meta["val"].shape)
            if isinstance(size, torch.SymInt)
        ]
        for formula, name in formulas:
            if formula.is_Symbol:
                sizes.variables.setdefault(formula.name, tirx.Var(name, "int64"))
        for formula, name in formulas:
            unknown = [s for s in formula.free_symbols if s.name not in sizes.variables]
            if unknown:
                self._solve(formula, unknown, name)

    def _solve(self, formula: Any, unknown: list[Any], name: str) -> None:
        slope = formula.coeff(unknown[0])
        offset = formula - slope * unknown[0]
        if not (slope.is_Integer and offset.is_Integer and slope > 0):
            raise ModelError(
                f"a dimension of an input is {formula}, from which {unknown[0]} cannot be told: "
                "give the inputs dimensions of their own"
            )
        whole, by = tirx.Var(name, "int64"), tirx.IntImm("int64", int(slope))
        self._own[formula] = whole
        self._sizes.variables[unknown[0].name] = tirx.floordiv(whole - int(offset), by)
        self.conditions.append(tirx.floormod(whole, by) == integer(int(offset) % int(slope)))

    def declared(self, size: Any) -> tirx.Expr:
        """The dimension of a parameter of ``main``."""
        own = self._own.get(size.node.expr) if isinstance(size, torch.SymInt) else None
        return integer(self._sizes(size)) if own is None else own


def _weight(program: ExportedProgram, spec: InputSpec) -> torch.Tensor:
    target = spec.target
    for found in (program.state_dict, program.constants):
        if target in found:
            return found[target]
    raise ModelError(f"the program lacks the values of {target!r}")


def _outputs(program: ExportedProgram, flat: list[Any]) -> list[relax.Expr]:
    outputs: list[relax.Expr] = []
    for value, spec in zip(flat, program.graph_signature.output_specs, strict=True):
        if value is None:
            continue
        if not isinstance(spec.arg, TensorArgument):
            raise ModelError(f"output {len(outputs)} is {value}, not a tensor: return tensors only")
        outputs.append(value)
    if not outputs:
        raise ModelError("the program returns no tensor")
    return outputs
