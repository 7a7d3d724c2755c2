"""From whatever holds a model to a Relax module: ONNX, ``torch.export`` or Relax itself.

The importers are TVM's. What is added is what a stranger needs: TVM reports a bad model by whatever
exception its translation happens to hit, so every model is checked first and every failure becomes
one ModelError that says what to do.
"""

from __future__ import annotations

import os
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING, TypeAlias, Union

import onnx
import tvm
from tvm import relax

from tvm_deconv.errors import ModelError
from tvm_deconv.onnx_file import (
    check_operators,
    defect,
    first_line,
    name_dimensions,
    read_proto,
)
from tvm_deconv.onnx_resize import upgrade_resizes
from tvm_deconv.onnx_scales import check_scales

if TYPE_CHECKING:
    import torch

Model: TypeAlias = Union[
    str, os.PathLike, onnx.ModelProto, "torch.export.ExportedProgram", tvm.IRModule
]
Shapes: TypeAlias = Mapping[str, Sequence[int]]


def load(model: Model, shapes: Shapes | None = None) -> tvm.IRModule:
    """The model as a Relax module with the entry ``main``.

    ``model`` is the path of an ONNX file, an ``onnx.ModelProto``, a
    ``torch.export.ExportedProgram`` or an IRModule. The parameters of ``main`` are the model's
    inputs in the model's order; the weights are constants inside. Symbolic dimensions stay
    symbolic, except those of the inputs that ``shapes`` names: ``shapes={"x": (1, 3, 64, 64)}``.
    An IRModule without ``shapes`` is returned as it is.

    Raises ModelError for a file that is missing, not ONNX or damaged, for an operator that TVM
    cannot import (named), and for ``shapes`` that do not fit the model's inputs.
    """
    if isinstance(model, (str, os.PathLike)):
        return _from_onnx(read_proto(model), os.fspath(model), shapes)
    if isinstance(model, onnx.ModelProto):
        return _from_onnx(model, model.graph.name or "ModelProto", shapes)
    if isinstance(model, tvm.IRModule):
        return _bind_shapes(_require_main(model), shapes)
    # An ExportedProgram can only come from someone who has imported torch already.
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.export.ExportedProgram):
        return _bind_shapes(_from_torch(model), shapes)
    if torch is not None and isinstance(model, torch.nn.Module):
        raise ModelError(
            f"{type(model).__name__} is a torch.nn.Module: pass torch.export.export(module, args)"
        )
    raise ModelError(
        "a model is an ONNX file, an onnx.ModelProto, a torch.export.ExportedProgram or an "
        f"IRModule, got {type(model).__name__}"
    )


def _from_onnx(proto: onnx.ModelProto, name: str, shapes: Shapes | None) -> tvm.IRModule:
    from tvm.relax.frontend.onnx import from_onnx

    proto = upgrade_resizes(name_dimensions(check_operators(proto, name)))
    ranks = _declared_ranks(proto)
    _check_override(shapes, ranks, name)
    for key, rank in ranks.items():
        if rank is None and key not in (shapes or {}):
            raise ModelError(
                f"input {key!r} of {name} has no shape: pass one, such as "
                f"shapes={{{key!r}: (1, 3, 64, 64)}}"
            )
    check_scales(proto, shapes or {}, name)
    with _one_error(name, proto):
        return from_onnx(proto, shape_dict={k: list(v) for k, v in (shapes or {}).items()})


def _declared_ranks(proto: onnx.ModelProto) -> dict[str, int | None]:
    """Number of axes (None: unknown) of each input that is not a weight, in order."""
    weights = {tensor.name for tensor in proto.graph.initializer}
    found = {}
    for value in proto.graph.input:
        kind = value.type.tensor_type
        if value.name not in weights:
            found[value.name] = len(kind.shape.dim) if kind.HasField("shape") else None
    return found


def _from_torch(program: torch.export.ExportedProgram) -> tvm.IRModule:
    # Here, because it imports PyTorch.
    from tvm_deconv.frontends.torch import from_exported_program

    return from_exported_program(program)


def _require_main(mod: tvm.IRModule) -> tvm.IRModule:
    names = [var.name_hint for var in mod.get_global_vars()]
    if "main" not in names or not isinstance(mod["main"], relax.Function):
        raise ModelError(f"the IRModule has no Relax function 'main', only {sorted(names)}")
    return mod


def _bind_shapes(mod: tvm.IRModule, shapes: Shapes | None) -> tvm.IRModule:
    """Replace the symbolic dimensions of the named inputs by numbers."""
    if not shapes:
        return mod
    params = {str(param.name): param for param in mod["main"].params}
    ranks = {key: getattr(param.ty, "ndim", None) for key, param in params.items()}
    _check_override(shapes, ranks, "model")
    values: dict[tvm.tirx.Var, int] = {}
    for key, wanted in shapes.items():
        for axis, (dim, size) in enumerate(zip(params[key].ty.shape, wanted, strict=True)):
            if isinstance(dim, tvm.tirx.Var):
                if values.setdefault(dim, size) != size:
                    raise ModelError(
                        f"dimension {dim.name} of input {key!r} is asked to be {values[dim]} "
                        f"and {size}: the model needs one value"
                    )
            elif int(dim) != size:
                raise ModelError(
                    f"axis {axis} of input {key!r} is fixed at {int(dim)}, asked for {size}"
                )
    return relax.transform.BindSymbolicVars(values, "main")(mod)


def _check_override(shapes: Shapes | None, ranks: Mapping[str, int | None], name: str) -> None:
    for key, wanted in (shapes or {}).items():
        if key not in ranks:
            raise ModelError(f"{name} has no input {key!r}: its inputs are {list(ranks)}")
        if any(not isinstance(size, int) or size < 1 for size in wanted):
            raise ModelError(f"shape {tuple(wanted)} of input {key!r} must hold positive integers")
        if ranks[key] is not None and ranks[key] != len(wanted):
            raise ModelError(f"input {key!r} of {name} has {ranks[key]} axes, got {tuple(wanted)}")


@contextmanager
def _one_error(name: str, proto: onnx.ModelProto | None = None) -> Iterator[None]:
    """Turn whatever TVM's importer raises into a ModelError, and keep its remarks to itself."""
    remarks = StringIO()
    try:
        with warnings.catch_warnings(), redirect_stdout(remarks):
            # About renamed inputs and unknown dimensions: nothing that a user could act on.
            warnings.simplefilter("ignore")
            yield
    except Exception as error:  # the importer raises KeyError, AssertionError, TypeError, ...
        objection = defect(proto) if proto is not None else None
        if objection:
            raise ModelError(f"{name} is a damaged ONNX model: {objection}") from error
        where = re.search(r"Error converting operator (\w+)", remarks.getvalue())
        operator = f"operator {where[1]}: " if where else ""
        raise ModelError(f"TVM cannot import {name}: {operator}{first_line(error)}") from error
