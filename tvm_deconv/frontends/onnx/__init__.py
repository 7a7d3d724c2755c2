"""From an ONNX model to a Relax module with the meaning that the standard gives it.

    read -> check -> normalise -> import

``read`` takes a file to its proto, ``check`` says what is wrong with a model as a whole and
``rules`` with a node, ``normalise`` evaluates what is constant, ``importer`` walks the rest with
the converters of ``convert``, and TVM's where those serve.
"""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import tvm

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.shapes import Shapes, read_shapes

from .check import check_model, check_text
from .functions import inlined, never_imported
from .importer import import_network
from .known import check_operators
from .nodes import opset_of
from .normalise import normalised
from .read import read_proto
from .sparse import with_zeros
from .spelling import respelled
from .stated import stated_pixels

__all__ = ["from_onnx", "read_proto", "stated_pixels"]


def from_onnx(model: onnx.ModelProto, name: str, shapes: Shapes | None = None) -> tvm.IRModule:
    """The model as a Relax module: ``main`` with its inputs in order, weights inside.

    ``name`` stands in messages. ``shapes`` fixes the sizes of the inputs that it names, and of
    others that share a free size with them. The model is not changed.

    Raises ModelError for a model that is damaged or breaks the standard, for what is not computed,
    and for ``shapes`` that do not fit.
    """
    check_text(model, name)
    model = with_zeros(respelled(model), name)
    fixed = read_shapes(shapes, _ranks(model), name)
    whole = inlined(model, name)
    check_operators(whole.graph, name, opset_of(whole), never_imported(whole.graph))
    check_model(whole, name, fixed)
    _require_shapes(whole, name, fixed)
    return import_network(normalised(whole, name, fixed))


def _ranks(model: onnx.ModelProto) -> dict[str, int | None]:
    """Number of axes (None: unknown) of each input that is not a weight, in order."""
    weights = {tensor.name for tensor in model.graph.initializer}
    kinds = {v.name: v.type.tensor_type for v in model.graph.input if v.name not in weights}
    return {
        key: len(kind.shape.dim) if kind.HasField("shape") else None for key, kind in kinds.items()
    }


def _require_shapes(model: onnx.ModelProto, name: str, fixed: Mapping[str, object]) -> None:
    for key, rank in _ranks(model).items():
        if rank is None and key not in fixed:
            raise ModelError(
                f"input {key!r} of {name} has no shape: pass one, such as "
                f"shapes={{{key!r}: (1, 3, 64, 64)}}"
            )
