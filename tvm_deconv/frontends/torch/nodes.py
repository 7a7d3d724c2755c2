"""What an error says of a node of an exported graph."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import fx

# Where PyTorch's own modules lie: their lines say nothing about the program.
_LIBRARY = str(Path(torch.__file__).parent)


def described(node: fx.Node) -> str:
    """``operator aten.bernoulli.p (bernoulli, net.py:12)``."""
    frames = re.findall(r'File "([^"]+)", line (\d+)', node.meta.get("stack_trace") or "")
    own = [frame for frame in frames if not frame[0].startswith((_LIBRARY, "<"))]
    place = f", {Path(own[-1][0]).name}:{own[-1][1]}" if own else ""
    return f"operator {_target_name(node.target)} ({node.name}{place})"


def unsupported(target: Any) -> str:
    """Why an operator without a converter is refused."""
    if torch.Tag.nondeterministic_seeded in getattr(target, "tags", ()):
        return "it draws random numbers: export the module after .eval(), or make them an input"
    return "there is no converter for this operator"


def _target_name(target: Any) -> str:
    return (
        str(target)
        if isinstance(target, torch._ops.OperatorBase)
        else getattr(target, "__name__", str(target))
    )
