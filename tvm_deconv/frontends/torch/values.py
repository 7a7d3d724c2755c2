"""Tensors, constants, types and shapes: between PyTorch, NumPy and Relax."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tvm import relax, tirx
from tvm.ir import GenericConst

from tvm_deconv.errors import ModelError

DTYPES = ("bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64")


def constant(values: np.ndarray) -> GenericConst:
    """The array as a constant of its own dtype."""
    return relax.const(np.array(values, order="C"), str(values.dtype))


def value_of(expr: relax.Expr) -> np.ndarray | None:
    """The array of a constant, None for anything else."""
    return expr.value.numpy() if isinstance(expr, GenericConst) else None


def tensor_constant(tensor: torch.Tensor, name: str) -> GenericConst:
    """A weight of the program as a constant. Raises ModelError for one that has no plain values."""
    if isinstance(tensor, torch._subclasses.FakeTensor) or tensor.device.type == "meta":
        raise ModelError(f"{name} has no values: export the module with its real weights")
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise ModelError(f"{name} is sparse or quantized: only dense weights can be compiled")
    dtype_name(tensor.dtype)
    plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    # A copy: the caller may go on training the module.
    return constant(np.array(plain.numpy()).reshape(tuple(tensor.shape)))


def dtype_name(dtype: torch.dtype) -> str:
    """``float32`` for ``torch.float32``. Raises ModelError for one that is not supported."""
    name = str(dtype).removeprefix("torch.")
    if name not in DTYPES:
        raise ModelError(f"dtype {name} is not supported, only {', '.join(DTYPES)}")
    return name


def shape_of(expr: relax.Expr) -> list[Any]:
    """The sizes of a tensor, ints where they are fixed."""
    return [int(d.value) if isinstance(d, tirx.IntImm) else d for d in expr.ty.shape.values]


def is_tensor(value: Any) -> bool:
    """True for a tensor of the program, false for numbers and expressions of sizes."""
    return isinstance(getattr(value, "ty", None), relax.TensorType)


def differs(a: relax.Expr, b: relax.Expr) -> relax.Expr:
    """a != b, true for NaN: TVM's own comparison is false there, whatever b is.

    TVM simplifies ``not (a == b)`` to it, so the answer is turned over as a number.
    """
    if not str(a.ty.dtype).startswith("float"):
        return relax.op.not_equal(a, b)
    same = relax.op.astype(relax.op.equal(a, b), "int8")
    return relax.op.equal(same, relax.const(0, "int8"))
