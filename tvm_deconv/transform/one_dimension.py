"""``AddHeight``: layers over a line (N, C, W) as layers over a picture of one row (N, C, 1, W).

    conv1d_transpose(x, w) => squeeze(conv2d_transpose(expand_dims(x), expand_dims(w)))

A kernel of one row over one row with no padding in height is the same sums in the same order, so
every rule, variant, schedule and model for two dimensions serves for one. What stands between two
such layers is computed on the picture, too: pointwise operators, batch norms, paddings, Concats and
shuffles of the kind of PixelShuffle in one dimension,

    (N, C*r, W) -> (N, C, r, W) -> (N, C, W, r) -> (N, C, W*r)
    => (N, C*r, 1, W) -> (N, C, r, 1, W) -> (N, C, 1, W, r) -> (N, C, 1, W*r)

so that nothing is left between them, and bias, residual and activation are stored with the
convolution. Where a picture meets an operator that wants a line it is squeezed, which is a view.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.annotations import ONE_DIMENSIONAL
from tvm_deconv.layer_names import layer_name
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.relax_functions import holds

from .graph import ELEMENTWISE, Graph, constant, op_name, same, shape_of
from .lower.read import read
from .rebind import rebind

_CONV, _CONV_TRANSPOSE = "relax.nn.conv1d", "relax.nn.conv1d_transpose"
_NORM = "relax.nn.batch_norm"
_RESHAPE, _PERMUTE = "relax.reshape", "relax.permute_dims"
_EXPAND, _SQUEEZE = "relax.expand_dims", "relax.squeeze"
_POINTWISE = ELEMENTWISE | {"relax.nn.prelu"}

# Of a picture, (N, C, 1, W).
_HEIGHT = 2


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.AddHeight")
class AddHeight:
    """Relax module pass: what the module's docstring names, in the dataflow blocks of a function.

    Convolutions are those that ``LowerConvolutions`` then takes: ``conv1d_transpose`` and stride-1
    ``conv1d`` in NCW with constant weights, float32 or float16, any kernel, dilation, groups and
    padding, static or symbolic N and W. Others stay as they are. A function is marked with the
    names of the layers that were of one dimension, for reports. A module without such a
    convolution is handed back untouched.
    """

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        if not any(
            isinstance(func, relax.Function) and holds(func, _is_line_convolution)
            for _, func in mod.functions_items()
        ):
            return mod
        # An alias would hide that a tensor is a picture already.
        work = relax.transform.CanonicalizeBindings()(mod).clone()
        raised = False
        for name, func in work.functions_items():
            if isinstance(func, relax.Function):
                pictures = _Pictures(func)
                new = pictures.visit_expr(func)
                if pictures.layers:
                    raised = True
                    known = [str(layer) for layer in (func.attrs or {}).get(ONE_DIMENSIONAL, [])]
                    layers = sorted({*known, *pictures.layers})
                    work.update_func(name, new.with_attr(ONE_DIMENSIONAL, layers))
        return relax.transform.DeadCodeElimination()(work) if raised else mod


def _is_line_convolution(expr: relax.Expr) -> bool:
    return op_name(expr) in (_CONV, _CONV_TRANSPOSE)


@mutator
class _Pictures(PyExprMutator):
    """Computes on pictures what can be, and squeezes each for whoever still reads the line.

    ``pictures`` has the picture of each line of the current block, by the line's variable in the
    function that is read; ``layers`` the names of what was made two-dimensional.
    """

    def __init__(self, func: relax.Function) -> None:
        super().__init__()
        self.graph = Graph(func)
        self.pictures: dict[relax.Var, relax.Var] = {}
        self.layers: set[str] = set()

    def visit_dataflow_block_(self, block: relax.DataflowBlock) -> relax.DataflowBlock:
        self.pictures = {}
        return super().visit_dataflow_block_(block)

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        var, value = binding.var, binding.value
        picture = None
        if var in self.graph.values and self.builder_.current_block_is_dataflow():
            if op_name(value) == _EXPAND and self._is_picture(value.args[0]) and _is_height(value):
                rebind(self, binding, self.pictures[value.args[0]])
                return
            picture = self._picture_of(var, value)
        if picture is None:
            super().visit_var_binding_(binding)
            return
        self.pictures[var] = self._named(picture, var)
        rebind(self, binding, relax.op.squeeze(self.pictures[var], [_HEIGHT]))

    def _picture_of(self, var: relax.Var, value: relax.Expr) -> relax.Expr | None:
        """The call that computes the picture of a line; None to leave ``var`` as it is."""
        shape, op = shape_of(var), op_name(value)
        if isinstance(value, relax.TupleGetItem):
            return self._batch_norm(value)
        if shape is None or len(shape) != 3:
            return None
        if _is_line_convolution(value):
            return self._convolution(var, value)
        if op in _POINTWISE and self._is_picture(*value.args):
            operands = [self._operand(operand) for operand in value.args]
            return None if None in operands else relax.Call(value.op, operands, value.attrs)
        others = {
            "relax.concat": self._concat,
            "relax.nn.pad": self._pad,
            "relax.repeat": self._repeat,
            _RESHAPE: self._shuffle,
            _SQUEEZE: self._squeezed,
        }
        return others[op](var, value) if op in others else None

    def _convolution(self, var: relax.Var, call: relax.Call) -> relax.Expr | None:
        attrs, (data, kernel) = call.attrs, call.args
        weight = self.graph.constant(kernel)
        layouts = {str(attrs.data_layout), str(attrs.out_layout or "NCW")}
        if layouts != {"NCW"} or shape_of(data) is None or weight is None or weight.ndim != 3:
            return None
        layout = str(attrs.kernel_layout)
        begin, end = (int(width) for width in (attrs.padding[0], attrs.padding[-1]))
        attributes: dict[str, Any] = {
            "strides": [1, *attrs.strides],
            "padding": [0, begin, 0, end],
            "dilation": [1, *attrs.dilation],
            "groups": attrs.groups,
            "kernel_layout": layout.replace("W", "HW"),
            "out_dtype": attrs.out_dtype,
        }
        operator = relax.op.nn.conv2d
        if op_name(call) == _CONV_TRANSPOSE:
            operator = relax.op.nn.conv2d_transpose
            attributes["output_padding"] = [0, *attrs.output_padding]
        picture = constant(np.expand_dims(weight, layout.index("W")))
        n, c, w = data.ty.shape.values
        alone = relax.Var("x", relax.TensorType((n, c, 1, w), data.ty.dtype))
        if not _is_ours(operator(alone, picture, **attributes), alone):
            return None
        self.layers.add(layer_name(var))
        return operator(self._operand(data), picture, **attributes)

    def _batch_norm(self, item: relax.TupleGetItem) -> relax.Expr | None:
        norm = self.graph.value(item.tuple_value)
        if item.index or op_name(norm) != _NORM or not self._is_picture(norm.args[0]):
            return None
        data, *others = norm.args
        others = [self.visit_expr(other) for other in others]
        call = relax.Call(norm.op, [self.pictures[data], *others], norm.attrs)
        return relax.TupleGetItem(self.builder_.emit(call), 0)

    def _concat(self, var: relax.Var, call: relax.Call) -> relax.Expr | None:
        parts = call.args[0].fields if isinstance(call.args[0], relax.Tuple) else ()
        if call.attrs.axis is None or not self._is_picture(*parts):
            return None
        return relax.op.concat([self._operand(part) for part in parts], _axis(call))

    def _pad(self, var: relax.Var, call: relax.Call) -> relax.Expr | None:
        if not self._is_picture(call.args[0]):
            return None
        attrs = call.attrs
        *others, begin, end = (int(width) for width in attrs.pad_width)
        widths = [*others, 0, 0, begin, end]
        picture = self.pictures[call.args[0]]
        return relax.op.nn.pad(picture, widths, str(attrs.pad_mode), float(attrs.pad_value))

    def _repeat(self, var: relax.Var, call: relax.Call) -> relax.Expr | None:
        if call.attrs.axis is None or not self._is_picture(call.args[0]):
            return None
        picture = self.pictures[call.args[0]]
        return relax.op.repeat(picture, int(call.attrs.repeats), _axis(call))

    def _squeezed(self, var: relax.Var, call: relax.Call) -> relax.Expr | None:
        """The picture that ``call`` makes a line of."""
        is_picture = isinstance(call.args[0], relax.Var) and _is_height(call)
        return self.visit_expr(call.args[0]) if is_picture else None

    def _shuffle(self, var: relax.Var, last: relax.Call) -> relax.Expr | None:
        """reshape(permute_dims(reshape(x))) that splits channels and merges some with the width."""
        permute = self.graph.value(last.args[0])
        split = self.graph.value(permute.args[0]) if op_name(permute) == _PERMUTE else None
        if split is None or op_name(split) != _RESHAPE or not self._is_picture(split.args[0]):
            return None
        data, sizes = shape_of(split.args[0]), shape_of(permute.args[0])
        shape, axes = shape_of(var), permute.attrs.axes
        if data is None or sizes is None or shape is None or axes is None:
            return None
        *_, width = range(len(sizes))
        if not (len(sizes) > 3 and same(sizes[0], data[0]) and same(sizes[width], data[2])):
            return None
        # The new axis stands before the width, and so it does after the permutation.
        order = [int(axis) for axis in axes]
        order[order.index(width) : order.index(width) + 1] = [width, width + 1]
        parts = relax.op.reshape(self.pictures[split.args[0]], [*sizes[:width], 1, sizes[width]])
        moved = relax.op.permute_dims(self.builder_.emit(parts), order)
        self.layers.add(layer_name(var))
        return relax.op.reshape(self.builder_.emit(moved), [*shape[:2], 1, shape[2]])

    def _is_picture(self, *operands: Any) -> bool:
        """Whether one of them is a line that there is a picture of."""
        return any(isinstance(o, relax.Var) and o in self.pictures for o in operands)

    def _operand(self, operand: Any) -> Any:
        """``operand`` of a line's operator for the picture's: the height is before the width."""
        if not isinstance(getattr(operand, "ty", None), relax.TensorType):
            return operand
        if isinstance(operand, relax.Var) and operand in self.pictures:
            return self.pictures[operand]
        values = self.graph.constant(operand)
        if values is not None:
            return constant(values if values.ndim < 2 else np.expand_dims(values, -2))
        if operand.ty.ndim not in range(4):
            return None
        new = self.visit_expr(operand)
        if operand.ty.ndim < 2:
            return new
        picture = self.builder_.emit(relax.op.expand_dims(new, -2))
        if operand.ty.ndim == 3 and isinstance(operand, relax.Var):
            self.pictures[operand] = picture
        return picture

    def _named(self, picture: relax.Expr, line: relax.Var) -> relax.Var:
        """A variable for the picture that has the line's name."""
        value = self.builder_.normalize(picture)
        if isinstance(value, relax.Var):
            return value
        var = relax.DataflowVar(line.name, value.ty, line.span)
        self.builder_.emit_normalized(relax.VarBinding(var, value))
        return var


def _axis(call: relax.Call) -> int:
    """The ``axis`` of a line's operator, of the picture."""
    axis = int(call.attrs.axis) % 3
    return axis + 1 if axis == _HEIGHT else axis


def _is_height(call: relax.Call) -> bool:
    """Whether a squeeze or an expand_dims between a line and a picture is about the height."""
    return [int(axis) % 4 for axis in call.attrs.axis or ()] == [_HEIGHT]


def _is_ours(call: relax.Call, data: relax.Var) -> bool:
    """Whether ``LowerConvolutions`` takes a convolution of ``data``."""
    builder = relax.BlockBuilder()
    with builder.function("main", [data]):
        with builder.dataflow():
            result = builder.emit_output(call)
        builder.emit_func_output(result)
    func = builder.finalize()["main"]
    found = read(Graph(func), func.body.body)
    return found is not None and not isinstance(found, Refused)
