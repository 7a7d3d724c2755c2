"""Making operators of ours known to Relay."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tvm import relay


def register(
    name: str, words: str, arguments: Mapping[str, str], relation: Callable[..., Any], pattern: int
) -> None:
    """``name``, of tensors ``arguments`` with a word on each, attributes that are a dictionary, and
    no state; ``relation`` gives the type of its result."""
    relay.op.op.register(name, words)
    op = relay.op.get(name)
    op.set_num_inputs(len(arguments))
    for argument, word in arguments.items():
        op.add_argument(argument, "Tensor", word)
    op.set_attrs_type_key("DictAttrs")
    op.set_support_level(2)
    op.add_type_rel("TvmDeconv" + name.rpartition(".")[2], relation)
    relay.op.op.register_pattern(name, pattern)
    relay.op.op.register_stateful(name, False)
