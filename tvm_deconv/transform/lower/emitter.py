"""What a lowered layer's function is made of besides its convolution: parameters and epilogue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import tvm
from tvm import relax, te

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.volumes import Stack
from tvm_deconv.schedules.tir.stacks import FREE
from tvm_deconv.transform.borders import emit_border, read_border
from tvm_deconv.transform.graph import BROADCAST, dtype_of, shape_of
from tvm_deconv.transform.graph import constant as tensor_constant

from .epilogue import RESHAPE, of_phase, without_depth
from .layers import LoweredLayer
from .repeated import RepeatedRows, read_repeated_rows

# What a function is given: an expression of the original function, or rows made of one.
Argument: TypeAlias = relax.Expr | RepeatedRows

# Operators that TVM writes a number into; others, and numbers of other kinds, stay parameters.
_WITH_NUMBERS = BROADCAST - {"relax.where", "relax.ewise_fma"}


class Parameters:
    """Parameters of the fused function and what they stand for outside.

    ``names`` is one more, of no argument, where what is stored needs sizes that no other has: the
    fused function, in which nothing reads it, gets those as numbers.
    """

    def __init__(self) -> None:
        self.arguments: list[Argument] = []
        self.variables: list[relax.Var] = []
        self.names: relax.Var | None = None
        self._shared: list[tuple[relax.Expr, relax.Var]] = []

    @property
    def declared(self) -> list[relax.Var]:
        """All that a function of Relax begins with."""
        return [*self.variables, *([] if self.names is None else [self.names])]

    def add(
        self, argument: relax.Expr, shape: tuple[Any, ...] | None = None, *, apart: bool = False
    ) -> relax.Var:
        """The parameter for ``argument``; ``shape`` is in the function's own variables.

        One that stands ``apart`` is not that of the same argument elsewhere: stacks of one volume
        may differ.
        """
        for have, var in self._shared:
            if have.same_as(argument):
                return var
        ty = argument.ty if shape is None else relax.TensorType(shape, dtype_of(argument))
        added = self._append(argument, ty)
        if not apart:
            self._shared.append((argument, added))
        return added

    def add_rows(self, rows: RepeatedRows, shape: tuple[Any, ...]) -> relax.Var:
        """The parameter for the small map of ``rows``."""
        return self._append(rows, relax.TensorType(shape, dtype_of(rows.data)))

    def _append(self, argument: Argument, ty: relax.TensorType) -> relax.Var:
        self.arguments.append(argument)
        self.variables.append(relax.Var(f"p{len(self.variables)}", ty))
        return self.variables[-1]


class EpilogueEmitter:
    """Re-emits the epilogue on NCHW tensors, phase constants included."""

    def __init__(
        self,
        layer: LoweredLayer,
        builder: relax.BlockBuilder,
        parameters: Parameters,
        out_shape: tuple[Any, ...],
    ) -> None:
        self.graph, self.conv, self.epilogue = layer.graph, layer.conv, layer.epilogue
        self.lanes = layer.choice.parameters.lanes
        self.builder, self.parameters, self.out_shape = builder, parameters, out_shape
        self.operands: dict[tuple[relax.Var, int], Any] = {}
        self.faces: dict[relax.Expr, relax.Var] = {}
        self.volume: tuple[tuple[Any, ...], Callable[[Any], tuple[Any, Any]]] | None = None
        self.large: list[relax.Var] = []

    def declare(self) -> None:
        """Turn every operand from outside into a parameter, before the function begins."""
        inside = {self.conv.var, *self.epilogue.members}
        for var in self.epilogue.members:
            call = self.graph.value(var)
            assert isinstance(call, relax.Call)
            border = read_border(self.graph, var)
            if border is not None and self.conv.stack is not None and self.volume is None:
                self.volume = self._volume(self.conv.stack)
            for axis, face in () if border is None else border.faces.items():
                self.faces[face] = self._face(face, axis)
            for index, operand in enumerate(call.args):
                if operand not in inside and isinstance(operand.ty, relax.TensorType):
                    self.operands[var, index] = self._outside(operand, self.graph.op(var))

    @property
    def pictures(self) -> list[int]:
        """Positions of the parameters that are as large as the output."""
        return [i for i, var in enumerate(self.parameters.variables) if var in self.large]

    def __call__(self, value: relax.Expr) -> relax.Expr:
        values: dict[relax.Var, relax.Expr] = {self.conv.var: value}
        for var in self.epilogue.members:
            call = self.graph.value(var)
            assert isinstance(call, relax.Call)
            border = read_border(self.graph, var)
            if border is not None:
                faces = {axis: self.faces[face] for axis, face in border.faces.items()}
                values[var] = emit_border(
                    self.builder, values[border.y], faces, border.counts, self.volume
                )
                continue
            arguments = [
                values[a] if a in values else self._operand(var, i, a, value)
                for i, a in enumerate(call.args)
            ]
            if self.graph.op(var) == RESHAPE:
                # To and from (N, O, H, r_h, W, r_w): the same elements in the same order.
                values[var] = arguments[0]
            else:
                values[var] = self.builder.emit(relax.Call(call.op, arguments, call.attrs))
        return values[self.epilogue.result]

    def _face(self, face: relax.Expr, axis: int) -> relax.Var:
        """The parameter for what is added to outermost rows, columns or slices."""
        n, _, *sizes = self.out_shape
        if self.volume is not None:
            sizes = [*self.volume[0]]
        del sizes[axis - 2]
        _, channels, _, _ = shape_of(face) or ()
        return self.parameters.add(face, (n, channels, *[1] * (2 - len(sizes)), *sizes))

    def _volume(self, stack: Stack) -> tuple[tuple[Any, ...], Callable[[Any], tuple[Any, Any]]]:
        """Sizes of the volume whose slices are the picture, and where in it a row lies."""
        x = self.parameters.variables[0]
        n, _, _, width = x.ty.shape.values
        _, channels, *sizes, _ = shape_of(self.conv.data) or ()
        depth, height = (
            size if isinstance(size, int) else tvm.tirx.Var(name, "int64")
            for size, name in zip(sizes, FREE, strict=True)
        )
        if not (isinstance(depth, int) and isinstance(height, int)):
            shape = n, channels, depth, height, width
            self.parameters.names = relax.Var("volume", relax.TensorType(shape, self.conv.dtype))
        _, _, *sizes = stack.volume.output_shape(n, depth, height, width)
        return tuple(sizes), lambda row: stack.target(row, height)

    def _outside(self, operand: relax.Expr, reader: str | None) -> Any:
        constant = self.graph.constant(operand)
        if constant is None:
            rows = read_repeated_rows(self.graph, operand, set(self.epilogue.members))
            shape = None if rows is None else rows.small_shape(self.out_shape)
            if rows is None or shape is None:
                self.large.append(self.parameters.add(operand, self.out_shape))
                return self.large[-1]
            return _Rows(rows, self.parameters.add_rows(rows, shape))
        stack = self.conv.stack
        if stack is not None and constant.ndim == 8:
            constant = of_phase(constant, stack.phase)
        elif stack is not None:
            constant = without_depth(constant)
            assert constant is not None
        if constant.size == 1 and reader in _WITH_NUMBERS and constant.dtype.kind == "f":
            return tensor_constant(constant.reshape(()))
        if constant.ndim == 6:
            table = _phase_rows(constant, self.conv.op, self.lanes)
            return _PhaseTable(self.parameters.add(tensor_constant(table)))
        return self.parameters.add(tensor_constant(constant))

    def _operand(self, var: relax.Var, index: int, operand: Any, like: relax.Expr) -> Any:
        known = self.operands.get((var, index), operand)
        if isinstance(known, _Rows):
            return known.rows.emit_large(self.builder, known.small, self.out_shape)
        if not isinstance(known, _PhaseTable):
            return known
        _, c, oh, ow = like.ty.shape.values

        def phase_values(table: te.Tensor) -> te.Tensor:
            channels, rh, period = (int(dim) for dim in table.shape)
            return te.compute(
                (1, c, oh, ow),
                lambda _, o, i, j: table[o if channels > 1 else 0, i % rh, j % period],
            )

        return self.builder.emit_te(phase_values, known.values, primfunc_name_hint="phase_values")


@dataclass(frozen=True)
class _Rows:
    """A residual whose rows repeat: a parameter of fewer rows."""

    rows: RepeatedRows
    small: relax.Var


class _PhaseTable:
    """A constant with one value per channel and phase: a parameter made by ``_phase_rows``."""

    def __init__(self, values: relax.Var) -> None:
        self.values = values


def _phase_rows(constant: np.ndarray, op: ConvTranspose2d, lanes: int) -> np.ndarray:
    """(1, C or 1, 1, r_h or 1, 1, r_w or 1) as rows of output columns (C or 1, r_h, r_w*lanes).

    A row holds its r_w values ``lanes`` times, so that the values for a vector of outputs lie side
    by side, whichever vector of a register tile it is.
    """
    rh, rw = op.strides
    phases = np.broadcast_to(constant[0, :, 0, :, 0, :], (constant.shape[1], rh, rw))
    return np.tile(phases, (1, 1, lanes))
