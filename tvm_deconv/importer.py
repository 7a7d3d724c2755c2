"""From whatever holds a model to a Relax module: ONNX, TFLite, ``torch.export`` or Relax itself.

The readers in ``frontends`` begin where TVM's end: what it reads wrongly or not at all is read
here. Every model is checked first, and every failure is one ModelError that says what to do.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, Union

import onnx
import tvm
from tvm import relax

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.onnx import from_onnx, read_proto, stated_pixels
from tvm_deconv.frontends.shapes import Shapes, read_shapes
from tvm_deconv.frontends.tflite import from_tflite, is_tflite
from tvm_deconv.pixels import Pixels

if TYPE_CHECKING:
    import torch

Model: TypeAlias = Union[
    str, os.PathLike, onnx.ModelProto, "torch.export.ExportedProgram", tvm.IRModule
]


def load(model: Model, shapes: Shapes | None = None) -> tvm.IRModule:
    """The model as a Relax module with the entry ``main``.

    ``model`` is the path of an ONNX or TFLite file or of a ``.pt2`` file of ``torch.export.save``,
    an ``onnx.ModelProto``, a ``torch.export.ExportedProgram`` or an IRModule. The parameters of
    ``main`` are the model's inputs in the model's order; the weights are constants inside. Symbolic
    dimensions stay symbolic, except those of the inputs that ``shapes`` names:
    ``shapes={"x": (1, 3, 64, 64)}``.
    An IRModule without ``shapes`` is returned as it is.

    Raises ModelError for a file that is missing, damaged or of another kind, for an operator that
    cannot be imported (named), and for ``shapes`` that do not fit the model's inputs.
    """
    return load_with_pixels(model, shapes)[0]


def load_with_pixels(model: Model, shapes: Shapes | None = None) -> tuple[tvm.IRModule, Pixels]:
    """What ``load`` gives, and what the model itself says of its pixels.

    Only ONNX has a place for that; of another model nothing is said.
    """
    if isinstance(model, onnx.ModelProto):
        proto, name = model, model.graph.name or "ModelProto"
    elif isinstance(model, (str, os.PathLike)) and not (is_program(model) or is_tflite(model)):
        proto, name = read_proto(model), os.fspath(model)
    else:
        return _load_other(model, shapes), Pixels()
    return from_onnx(proto, name, shapes), stated_pixels(proto)


def is_program(path: str | os.PathLike) -> bool:
    """Whether a file is one of ``torch.export.save``, by its name."""
    return Path(path).suffix == ".pt2"


def is_exported(model: object) -> TypeGuard[torch.export.ExportedProgram]:
    """Whether it is an exported program, which only who has imported PyTorch can have."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.export.ExportedProgram)


def _load_other(model: Model, shapes: Shapes | None) -> tvm.IRModule:
    """``load`` of all that is not ONNX."""
    if isinstance(model, (str, os.PathLike)) and is_program(model):
        return _bind_shapes(_from_torch(_read_program(model)), shapes)
    if isinstance(model, (str, os.PathLike)):
        return from_tflite(model, shapes)
    if isinstance(model, tvm.IRModule):
        return _bind_shapes(_require_main(model), shapes)
    if is_exported(model):
        return _bind_shapes(_from_torch(model), shapes)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        raise ModelError(
            f"{type(model).__name__} is a torch.nn.Module: pass torch.export.export(module, args)"
        )
    raise ModelError(
        "a model is an ONNX or TFLite file, an onnx.ModelProto, a torch.export.ExportedProgram or "
        f"an IRModule, got {type(model).__name__}"
    )


def _read_program(path: str | os.PathLike) -> torch.export.ExportedProgram:
    try:
        from tvm_deconv.frontends.torch import read_program
    except ModuleNotFoundError as error:
        raise ModelError(f"{path} takes PyTorch to read: pip install torch") from error
    return read_program(path)


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
    params = {str(param.name): param for param in mod["main"].params}
    ranks = {key: getattr(param.ty, "ndim", None) for key, param in params.items()}
    values: dict[tvm.tirx.Var, int] = {}
    for key, wanted in read_shapes(shapes, ranks, "model").items():
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
    return relax.transform.BindSymbolicVars(values, "main")(mod) if values else mod
