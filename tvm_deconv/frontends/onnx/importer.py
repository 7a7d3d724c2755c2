"""From a network in which nothing constant is left to compute to a Relax module.

TVM's importer does the walk and knows most operators. Our own converters are looked up first; the
table in ``convert`` says for each why TVM's does not serve.
"""

from __future__ import annotations

import re
import textwrap
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from math import prod
from typing import Any

import numpy as np
import onnx
import tvm
from onnx import helper
from tvm import relax
from tvm.relax.frontend.onnx import onnx_frontend

from tvm_deconv.errors import ModelError, first_line
from tvm_deconv.frontends.onnx.convert.call import Call, known_shape
from tvm_deconv.layer_names import named

from .convert import converter_of
from .convert.broadcast import EqualSizes, aligned
from .facts import is_computed
from .formulas import shown
from .known import check_operators, is_known
from .nodes import attributes, describe, label, reads, refuse, words
from .normalise import Network
from .sizes import SizeArithmetic

# Operators that TVM's converters take a shape for as it is, not as a tensor.
_TAKE_SHAPES = words("ConstantOfShape")
# Operators whose result is one value even where it is a tuple.
_SEQUENCES = words(
    "ConcatFromSequence Optional OptionalGetElement SequenceConstruct SequenceEmpty "
    "SequenceErase SequenceInsert SplitToSequence"
)

# Operators whose operands are brought to one shape.
_BROADCASTING = words(
    "Add And BitShift Div Equal Greater GreaterOrEqual LayerNormalization Less LessOrEqual Max "
    "Mean Min Mod Mul Or PRelu Pow Sub Sum Where Xor"
)

# Of one tensor: 4 TB of float32.
_MOST_ELEMENTS = 1 << 40

_DUMP = re.compile(r'ir\.Op\(span=None.*?name="([\w.]+)".*?support_level=\d+\)')


def import_network(network: Network) -> tvm.IRModule:
    """The network as a Relax module with the entry ``main``; its weights are constants inside.

    Raises ModelError for operators that neither we nor TVM have, a node of each named, and for one
    that cannot be converted, with its name and the reason.
    """
    graph = helper.make_graph(
        list(network.nodes),
        network.name,
        list(network.inputs),
        [helper.make_value_info(name, onnx.TypeProto()) for name in network.outputs],
    )
    check_operators(graph, network.name, network.opset, lambda node: not is_known(node))
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        # About renamed inputs and unknown dimensions: nothing that a user could act on.
        warnings.simplefilter("ignore")
        while True:
            importer = _Importer(network)
            try:
                with _ended(importer.bb):
                    return named(importer.from_onnx(graph, network.opset), importer.names)
            except EqualSizes as sizes:
                _call_one(graph, sizes)


def _call_one(graph: onnx.GraphProto, sizes: EqualSizes) -> None:
    """Two free sizes of a network's inputs by one name, which is then asked of the inputs."""
    dims = [dim for given in graph.input for dim in given.type.tensor_type.shape.dim]
    names = [dim.dim_param for dim in dims]
    if not {sizes.one, sizes.other} <= set(names):
        raise ModelError(
            f"{graph.name}: whether sizes {sizes.one} and {sizes.other} are equal, as a Concat "
            "asks, depends on free sizes: give the shapes of the inputs"
        )
    first, second = sorted((sizes.one, sizes.other), key=names.index)
    for dim in dims:
        if dim.dim_param == second:
            dim.dim_param = first


@contextmanager
def _ended(builder: relax.BlockBuilder) -> Iterator[None]:
    """End what an exception leaves open: TVM complains of it on stderr."""
    try:
        yield
    except BaseException:
        with suppress(tvm.error.InternalError):  # which says that no block is open
            while True:
                builder._end_block()
        raise


class _Importer(onnx_frontend.ONNXGraphImporter):
    _nodes: dict[str, Any]

    def __init__(self, network: Network) -> None:
        super().__init__({}, "float32")
        self.network = network
        self.sizes = SizeArithmetic(network.constants, network.opset)
        # Of the nodes that computed the variables.
        self.names: dict[relax.Var, str] = {}

    def _parse_graph_initializers(self, graph: onnx.GraphProto) -> None:
        read = {name for node in self.network.nodes for name in reads(node)}
        for name in read | set(self.network.outputs):
            if name in self.network.constants:
                array = self.network.constants[name]
                if not is_computed(array):
                    raise ModelError(
                        f"{self.network.name}: {name!r} holds {array.dtype} elements, which TVM "
                        "does not compute with: cast or dequantize it in the model"
                    )
                self._nodes[name] = relax.const(tvm.runtime.tensor(np.asarray(array, order="C")))

    def _check_for_unsupported_ops(self, graph: onnx.GraphProto) -> None:
        """Done before, with the operators of branches and of other domains."""

    def _construct_nodes(self, graph: onnx.GraphProto) -> None:
        for node in graph.node:
            with self._blamed(node):
                self._construct_node(node)
            for name in node.output:
                if isinstance(self._nodes.get(name), relax.Var):
                    self.names.setdefault(self._nodes[name], label(node))
        for output in graph.output:
            self._nodes[output.name] = self._tensor(self._nodes[output.name])

    def _construct_node(self, node: onnx.NodeProto) -> None:
        inputs = onnx_frontend.onnx_input(
            [self._nodes[name] if name else None for name in node.input]
        )
        sizes = self.sizes.visit(node, known_shape(inputs[0]))
        if sizes is not None:
            for name, found in zip(node.output, sizes, strict=False):
                self._nodes[name] = found.expression(self.bb.emit)
            return
        if node.op_type in _BROADCASTING:
            inputs = aligned(self.bb, inputs)
        elif node.op_type == "Concat":
            inputs = aligned(self.bb, inputs, [attributes(node)["axis"]], repeats=False)
        elif node.op_type == "MatMul":
            inputs = aligned(self.bb, inputs, [-2, -1])
        result = self._branches(node, inputs) if node.op_type == "If" else self._call(node, inputs)
        if node.op_type in _SEQUENCES:
            self._nodes[node.output[0]] = result
            return
        if not isinstance(result, relax.Tuple) and isinstance(result.ty, relax.TupleType):
            fields = range(len(result.ty.fields))
            result = relax.Tuple([self.bb.emit(relax.TupleGetItem(result, i)) for i in fields])
        values = list(result) if isinstance(result, relax.Tuple) else [result]
        missing = next(filter(None, node.output[len(values) :]), None)
        if missing is not None:
            raise ModelError(f"output {missing!r} is not computed: do without")
        for name, value in zip(node.output, values, strict=False):
            if name not in self.network.empties:
                _refuse_size(value)
            if node.op_type in _BROADCASTING | {"Concat"} and known_shape(value) is None:
                _refuse_broadcast(inputs)
            is_new = isinstance(value, (relax.Call, relax.TupleGetItem))
            self._nodes[name] = self.bb.emit(value) if is_new else value

    def _call(self, node: onnx.NodeProto, inputs: list[Any]) -> Any:
        data = known_shape(inputs[0]) if inputs else None
        takes_nothing = node.op_type in _TAKE_SHAPES | _SEQUENCES or any(
            name in self.network.empties for name in node.output
        )
        if 0 in (data or ()) and not takes_nothing:
            refuse(f"its input has the shape {shown(data or ())}: there is nothing to compute")
        convert = converter_of(node.domain, node.op_type)
        if convert is not None:
            call = Call(self.bb, self.opset, node, inputs, attributes(node), self.sizes.known)
            result = convert(call)
            return self.bb.normalize(result) if isinstance(result, relax.Expr) else result
        if node.op_type not in _TAKE_SHAPES:
            inputs = onnx_frontend.onnx_input(
                [v if tvm.ir.is_prim_expr(v) else self._tensor(v) for v in inputs]
            )
        options = self._parse_attr(node.attribute)
        options["tvm_custom"] = {"name": node.name, "num_outputs": len(node.output)}
        return self._convert_operator(node.op_type, inputs, options, self.opset)

    def _tensor(self, value: Any) -> Any:
        """Shapes and sizes as tensors; anything else as it is."""
        if tvm.ir.is_prim_expr(value):
            return self.bb.emit(relax.op.reshape(self._tensor(relax.ShapeExpr([value])), ()))
        is_shape = isinstance(value, relax.Expr) and isinstance(value.ty, relax.ShapeType)
        return self.bb.emit(relax.op.shape_to_tensor(value)) if is_shape else value

    def _branches(self, node: onnx.NodeProto, inputs: list[Any]) -> relax.Expr:
        graphs = {attribute.name: attribute.g for attribute in node.attribute}
        taken = [self._branch(graphs[name]) for name in ("then_branch", "else_branch")]
        return self.bb.emit(relax.If(inputs[0], *(relax.SeqExpr([], body) for body in taken)))

    def _branch(self, graph: onnx.GraphProto) -> relax.Expr:
        outer, sizes = dict(self._nodes), self.sizes.state
        try:
            for tensor in graph.initializer:
                self._nodes[tensor.name] = relax.const(self._parse_array(tensor))
            self._construct_nodes(graph)
            results = [self._nodes[value.name] for value in graph.output]
            return results[0] if len(results) == 1 else relax.Tuple(results)
        finally:
            self._nodes, self.sizes.state = outer, sizes

    @contextmanager
    def _blamed(self, node: onnx.NodeProto) -> Iterator[None]:
        """Put model and node before whatever goes wrong inside."""
        where = f"{self.network.name}: {describe(node, self.opset)}"
        try:
            yield
        except (_Blamed, EqualSizes):  # a node of a branch has blamed itself
            raise
        except ModelError as error:
            raise _Blamed(f"{where}: {error}") from error
        except Exception as error:  # TVM's converters raise KeyError, AssertionError, ...
            raise _Blamed(f"TVM cannot import {where}: {_readable(error)}") from error


def _refuse_size(value: Any) -> None:
    """Raise ModelError for a tensor without elements, or of more than any machine holds."""
    sizes = known_shape(value) or ()
    fixed = [size for size in sizes if isinstance(size, int)]
    if any(size < 1 for size in fixed):
        refuse(f"its result would have the shape {shown(sizes)}: there is nothing to compute")
    if prod(fixed) > _MOST_ELEMENTS:
        refuse(f"its result would have the shape {shown(sizes)}: that is more than can be computed")


def _refuse_broadcast(operands: Iterable[Any]) -> None:
    """Raise ModelError for shapes of which it depends on free sizes whether they fit."""
    shapes = [shape for shape in map(known_shape, operands) if shape is not None]
    words = " and ".join(shown(shape) for shape in shapes)
    refuse(f"whether shapes {words} fit depends on free sizes: give the shapes of the inputs")


def _readable(error: Exception) -> str:
    """The first line of TVM's message, with operators by their name instead of their dump."""
    return textwrap.shorten(_DUMP.sub(r"\1", first_line(error)), 300, placeholder=" ...")


class _Blamed(ModelError):
    """An error that names its node."""
