"""What reports and errors say of a node of an exported graph."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import fx

# Where PyTorch's own modules lie: their lines say nothing about the program.
_LIBRARY = str(Path(torch.__file__).parent)

# Composite operators whose result is always a new tensor.
_ALWAYS_NEW = ("aten.conv", "aten.linear.", "aten.batch_norm.", "aten.group_norm.")

# Higher-order operators that run a graph several times.
_LOOPS = ("while_loop", "scan", "map_impl", "associative_scan")


def label(node: fx.Node) -> str:
    """``decoder.up1.conv`` for what a layer of PyTorch's computes, ``decoder.pixel_shuffle`` for an
    operator that the module ``decoder`` calls itself; ``@1`` marks the second call of a module.
    """
    stack = node.meta.get("nn_module_stack") or {}
    if not stack:
        return node.name
    key, (path, kind) = list(stack.items())[-1]
    _, at, call = key.rpartition("@")
    path += f"@{call}" if at and call.isdigit() else ""
    if str(kind).startswith("torch.nn.modules."):
        return path
    return f"{path}.{node.name}" if path else node.name


def described(node: fx.Node) -> str:
    """``operator aten.bernoulli.p (bernoulli, net.py:12)``."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or "")
    own = [frame for frame in frames if not frame[0].startswith((_LIBRARY, "<"))]
    place = f", {Path(own[-1][0]).name}:{own[-1][1]}" if own else ""
    return f"operator {_target_name(node.target)} ({node.name}{place})"


def name_of(node: Any) -> str | None:
    """The functional operator that a node calls, such as ``aten.relu.default``; None for any other.

    An operator that works in place (``relu_``) is the functional one where nobody else can see what
    it changes.
    """
    target = node.target
    if not isinstance(target, torch._ops.OpOverload):
        return None
    if not target._schema.is_mutable:
        return str(target)
    packet, _, overload = str(target).rpartition(".")
    return f"{packet[:-1]}.{overload}" if packet.endswith("_") and _is_private(node) else None


def _is_private(node: Any) -> bool:
    """True if what the node changes was made by its only reader: no view or copy of it is left."""
    source = node.args[0]
    if source.op != "call_function" or len(source.users) != 1:
        return False
    target = source.target
    if not isinstance(target, torch._ops.OpOverload):
        return False
    if target._schema.is_mutable:
        return name_of(source) is not None
    if target._can_decompose() and not str(target).startswith(_ALWAYS_NEW):
        # A composite may give its input back without saying so, as dropout does in evaluation.
        return False
    return all(result.alias_info is None for result in target._schema.returns)


def unsupported(target: Any) -> str:
    """Why an operator without a converter is refused."""
    if target is torch.ops.higher_order.cond:
        return (
            "which branch is taken is only known when it runs: export the module with that branch "
            "alone, or compute both and choose by torch.where"
        )
    if str(target) in _LOOPS:
        return "its turns are not written out: use a loop of Python, which the export unrolls"
    if torch.Tag.nondeterministic_seeded in getattr(target, "tags", ()):
        return "it draws random numbers: export the module after .eval(), or make them an input"
    return "there is no converter for this operator"


def _target_name(target: Any) -> str:
    return (
        str(target)
        if isinstance(target, torch._ops.OperatorBase)
        else getattr(target, "__name__", str(target))
    )
