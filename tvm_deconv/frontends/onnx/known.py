"""Which operators can be imported: ours and those that TVM has a converter for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import onnx
from onnx import defs
from tvm.relax.frontend.onnx import onnx_frontend

from tvm_deconv.errors import ModelError

from .convert import converter_of
from .nodes import MICROSOFT_DOMAIN, STANDARD, all_nodes, describe, spell, words

# Of the standard's names those that ONNX Runtime has in its domain, too; TVM knows the operators
# of that domain by their bare name.
_BOTH = words(
    "Attention DequantizeLinear Gelu GridSample Pad QuantizeLinear Range RotaryEmbedding Trilu "
    "Unique"
)

# ONNX Runtime's operators of the processor that it optimized a model on, at its last level.
_OF_PROCESSORS = "com.microsoft.nchwc"

# Those that are another operator in the standard, which TVM's converters do not know.
_ANOTHER = words("Attention RotaryEmbedding")


def is_known(node: onnx.NodeProto) -> bool:
    """Whether there is a converter for the node's operator."""
    if converter_of(node.domain, node.op_type) is not None:
        return True
    if node.domain == MICROSOFT_DOMAIN and defs.has(node.op_type) and node.op_type not in _BOTH:
        return False
    if node.domain in STANDARD and node.op_type in _ANOTHER:
        return False
    known = onnx_frontend._get_convert_map()  # TVM has no public list
    return node.domain in (*STANDARD, MICROSOFT_DOMAIN) and (
        node.op_type in known or node.op_type in ("If", "Constant")
    )


def is_strange(node: onnx.NodeProto) -> bool:
    """Whether the operator is neither known nor one of the standard, which may be folded away."""
    return not is_known(node) and not (node.domain in STANDARD and defs.has(node.op_type))


def check_operators(
    graph: onnx.GraphProto, name: str, opset: int, is_missing: Callable[[onnx.NodeProto], bool]
) -> None:
    """Raise ModelError that names a node of each operator that is missing."""
    missing: dict[str, list[onnx.NodeProto]] = {}
    for node in all_nodes(graph):
        if is_missing(node):
            missing.setdefault(spell(node), []).append(node)
    if missing:
        advice = "export the model without"
        if any(nodes[0].domain == _OF_PROCESSORS for nodes in missing.values()):
            advice = (
                "let ONNX Runtime write the model at ORT_ENABLE_EXTENDED, not at the level above"
            )
        raise ModelError(
            f"{name}: {', '.join(_first(nodes, opset) for nodes in missing.values())} cannot be "
            f"imported, neither here nor by TVM: {advice}"
        )


def _first(nodes: Sequence[onnx.NodeProto], opset: int) -> str:
    others = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
    return describe(nodes[0], opset) + others
