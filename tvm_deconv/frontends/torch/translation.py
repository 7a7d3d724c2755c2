"""One exported graph as a Relax function, node by node, each checked against what PyTorch recorded.

``torch.export`` leaves the shape and dtype of every result in the graph. A converter reads them
where PyTorch's rule is intricate, and no result with another dtype, rank or size gets past
``Translation``: what is wrong in that way is an error that names the operator, not a wrong value.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx
from tvm import relax, te, tirx
from tvm.ir import GenericConst

from tvm_deconv.errors import ModelError, TvmDeconvError

from .nodes import described, label, name_of, unsupported
from .sizes import Sizes, integer
from .values import constant, differs, dtype_name, shape_of, tensor_constant, value_of

# Arguments that say where a tensor lies, not what is in it.
_TECHNICAL = frozenset(("device", "layout", "pin_memory", "memory_format", "non_blocking"))

# What is known at compile time is computed then, unless that makes much of little: a broadcast.
_GROWTH, _SMALL = 2, 2**16

Converter = Callable[..., Any]


@dataclass(frozen=True)
class Missing:
    """One of several results that is not computed; who reads it is told the reason."""

    reason: str


class Translation:
    """The state of one translation. Converters are called with it and the operator's arguments.

    ``dtype`` and ``shape`` are those that PyTorch recorded for the (first) result of the node,
    ``builder`` and ``sizes`` belong to the function that is being built.
    """

    def __init__(self, table: Mapping[str, tuple[Converter, str]]) -> None:
        self.builder = relax.BlockBuilder()
        self.sizes = Sizes()
        # A torch.Tensor for what is known already, a Relax expression for what is computed.
        self.env: dict[fx.Node, Any] = {}
        # Any: fx types an argument as everything that there is.
        self.node: Any = None
        # Of the nodes that computed the variables.
        self.names: dict[relax.Var, str] = {}
        self._constants: dict[fx.Node, GenericConst] = {}
        self._table = table

    # What converters use.

    @property
    def value(self) -> Any:
        """PyTorch's record of the current node's result: fake tensors, or a tuple of them."""
        return self.node.meta["val"]

    @property
    def dtype(self) -> str:
        return dtype_name(self._first.dtype)

    @property
    def shape(self) -> list[Any]:
        return self.sizes.shape(self._first)

    @property
    def _first(self) -> torch.Tensor:
        return self.value[0] if isinstance(self.value, (list, tuple)) else self.value

    def emit(self, expr: relax.Expr) -> relax.Var:
        """Bind the expression to a variable, called after the node that it belongs to."""
        return self.builder.emit(expr, self.node.name)

    def te(self, function: Callable[..., te.Tensor], *args: Any) -> relax.Var:
        """A call of what ``function`` makes of TE tensors and sizes.

        Sizes with free dimensions must be among ``args``: the function gets variables of its own.
        """
        name = function.__name__.strip("_")
        return self.builder.emit_te(function, *args, primfunc_name_hint=name)

    def cast(self, x: relax.Expr, dtype: str) -> relax.Expr:
        """``x`` as ``dtype``; a constant stays one."""
        if str(x.ty.dtype) == dtype:
            return x
        known = value_of(x)
        if known is not None:
            return constant(known.astype(dtype))
        if dtype == "bool":
            return self.emit(differs(x, relax.const(0, x.ty.dtype)))
        return self.emit(relax.op.astype(x, dtype))

    def scalar(self, number: Any, dtype: str) -> relax.Expr:
        """A number, or an expression of sizes, as a tensor without axes."""
        if isinstance(number, (bool, int, float)):
            return constant(np.array(number).astype(dtype))

        def size_as_tensor(size: tirx.Expr) -> te.Tensor:
            return te.compute((), lambda: tirx.Cast(dtype, size), name="size_as_tensor")

        return self.te(size_as_tensor, number)

    def reshape(self, x: relax.Expr, shape: Sequence[Any]) -> relax.Expr:
        """``x`` in another shape; ``x`` itself where that changes nothing."""
        old = shape_of(x)
        if len(old) == len(shape) and all(map(self.sizes.equal, old, shape)):
            return x
        known = value_of(x)
        if known is not None and all(isinstance(size, int) for size in shape):
            return constant(known.reshape(shape))
        return self.emit(relax.op.reshape(x, [integer(size) for size in shape]))

    # The graph.

    def graph(self, module: fx.GraphModule) -> Any:
        """Translate every node; the value that the graph returns, as PyTorch nests it."""
        for node in module.graph.nodes:
            if node.op == "output":
                return self._resolve(node.args[0])
            if node.op == "get_attr":
                self.env[node] = _attribute(module, node.target)
            elif node.op == "call_function":
                self.node = node
                self.env[node] = self._call(node)
                for value in torch.utils._pytree.tree_leaves(self.env[node]):
                    if isinstance(value, relax.Var):
                        self.names.setdefault(value, label(node))
        raise ModelError("the program has no output")

    def _call(self, node: fx.Node) -> Any:
        if node.target is operator.getitem:
            return self._item(node)
        if isinstance(node.meta.get("val"), (torch.SymInt, torch.SymFloat, torch.SymBool)):
            return None  # Read from the record by those who use it.
        name = name_of(node)
        try:
            for record in torch.utils._pytree.tree_leaves(node.meta.get("val")):
                if isinstance(record, torch.Tensor):
                    self.sizes.shape(record)
            known = self._known(node)
            if known is not None:
                return known
            if name is not None and name in self._table:
                return self._checked(node, self._table[name][0](self, *self._arguments(node)))
            if _is_number(node):
                return None
            raise ModelError(unsupported(node.target))
        except TvmDeconvError as error:
            raise ModelError(f"{described(node)}: {error}") from error.__cause__
        except Exception as error:  # TVM's operators raise whatever they stumble over
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise ModelError(f"{described(node)}: {reason[0]}") from error

    def _known(self, node: Any) -> Any:
        """What PyTorch computes of weights and numbers alone; None for any other node."""
        if not isinstance(node.target, torch._ops.OpOverload) or node.target._schema.is_mutable:
            return None
        if torch.Tag.nondeterministic_seeded in node.target.tags:
            return None
        values: dict[Any, Any] = {source: self.env.get(source) for source in node.all_input_nodes}
        if not all(isinstance(value, torch.Tensor) for value in values.values()):
            return None
        records = torch.utils._pytree.tree_leaves(node.meta.get("val"))
        if not records or not all(isinstance(record, torch.Tensor) for record in records):
            return None
        elements = 0
        for record in records:
            count = self.sizes(record.numel())
            if not isinstance(count, int):
                return None
            elements += count
        if elements > _GROWTH * sum(value.numel() for value in values.values()) + _SMALL:
            return None
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), values.__getitem__)
        with torch.no_grad():
            return node.target(*args, **kwargs)

    def _arguments(self, node: Any) -> list[Any]:
        """The arguments in the order of the operator's schema, defaults filled in."""
        values = []
        for position, argument in enumerate(node.target._schema.arguments):
            if argument.name in _TECHNICAL:
                continue
            if position < len(node.args):
                value = node.args[position]
            elif argument.name in node.kwargs:
                value = node.kwargs[argument.name]
            else:
                value = argument.default_value
            values.append(self._resolve(value))
        return values

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, fx.Node):
            recorded = value.meta.get("val")
            if isinstance(recorded, (torch.SymInt, torch.SymFloat)):
                return self.sizes(recorded)
            return self._expression(value)
        if isinstance(value, (list, tuple)):
            return [self._resolve(item) for item in value]
        return value

    def _expression(self, node: fx.Node) -> Any:
        """What the node computes, its value as a constant where that is known."""
        value = self.env[node]
        if isinstance(value, torch.Tensor):
            if node not in self._constants:
                self._constants[node] = tensor_constant(value, node.name)
            return self._constants[node]
        return value

    def _item(self, node: Any) -> Any:
        source, index = node.args
        found = self.env[source][index]
        if isinstance(found, Missing) and node.users:
            raise ModelError(f"{described(source)}: {found.reason}")
        return found

    def _checked(self, node: fx.Node, result: Any) -> Any:
        recorded = node.meta.get("val")
        if isinstance(recorded, torch.Tensor):
            return self._as_recorded(result, recorded)
        if isinstance(recorded, (list, tuple)):
            return [
                one
                if isinstance(one, Missing) or record is None
                else self._as_recorded(one, record)
                for one, record in zip(result, recorded, strict=True)
            ]
        return result

    def _as_recorded(self, result: relax.Expr, recorded: torch.Tensor) -> relax.Expr:
        """The result as a variable, once its type is what PyTorch recorded."""
        if not isinstance(result, (relax.Var, GenericConst)):
            result = self.emit(result)
        expected, shape = dtype_name(recorded.dtype), self.sizes.shape(recorded)
        got = shape_of(result)
        if (str(result.ty.dtype), len(got)) != (expected, len(shape)):
            raise ModelError(
                f"TVM gives {result.ty.dtype} of {len(got)} axes, "
                f"PyTorch {expected} of {len(shape)}"
            )
        if any(
            a != b
            for a, b in zip(got, shape, strict=True)
            if isinstance(a, int) and isinstance(b, int)
        ):
            raise ModelError(f"TVM gives the shape {got}, PyTorch {shape}")
        if all(map(self.sizes.equal, got, shape)):
            return result
        # Formulas of TVM that are not provably those of PyTorch are compared when the program runs.
        ty = relax.TensorType([integer(size) for size in shape], expected)
        return self.builder.match_cast(result, ty)


def _attribute(module: fx.GraphModule, path: str) -> Any:
    return operator.attrgetter(path)(module)


def _is_number(node: fx.Node) -> bool:
    """True for arithmetic on sizes and for assertions on it, which compute no tensor."""
    return node.meta.get("val") is None or isinstance(node.meta["val"], (int, float, bool))
