"""The work of one convolution of a network, of pictures (``counts``), lines or volumes.

A line is a picture of one row (``AddHeight``). A volume is counted as it is computed: a transposed
convolution slice by slice of its output, where a slice sums over the taps of its phase of the
depth, each a transposed convolution over a picture (``algebra.volumes``). Words of volumes move
once, also between the slices.
"""

from __future__ import annotations

from math import prod
from typing import Any

from tvm import relax

from tvm_deconv.errors import ModelError
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.transform.graph import Graph, shape_of, text
from tvm_deconv.transform.lower.read import CONV, CONV_TRANSPOSE, Convolution, read
from tvm_deconv.transform.lower.volumes import CONV_3D, CONV_3D_TRANSPOSE, read_volume

from .counts import Counts, Deconvolution, convolution_counts, counts, total
from .operators import Operator, bytes_of
from .roofline import Work

PLAIN, TRANSPOSED = frozenset((CONV, CONV_3D)), frozenset((CONV_TRANSPOSE, CONV_3D_TRANSPOSE))
CONVOLUTIONS = PLAIN | TRANSPOSED


def convolution_work(graph: Graph, var: relax.Var, algorithm: Deconvolution) -> Work:
    """That of ``var``, which is one of ``CONVOLUTIONS``; ``algorithm`` computes transposed ones.

    Raises ModelError where a size is free.
    """
    return _plain(graph, var) if graph.op(var) in PLAIN else _transposed(graph, var, algorithm)


def bytes_moved(tensor: relax.Expr) -> int:
    """Bytes of a tensor or of a tuple of them. Raises ModelError where a size is free."""
    ty: Any = tensor.ty
    if isinstance(ty, relax.TupleType):
        return sum(prod(map(int, f.shape.values)) * bytes_of(str(f.dtype)) for f in ty.fields)
    if not isinstance(ty, relax.TensorType):
        return 0
    return prod(_sizes(tensor)) * bytes_of(str(ty.dtype))


def _plain(graph: Graph, var: relax.Var) -> Work:
    call = graph.value(var)
    data, weight = call.args
    attrs = call.attrs
    space = "DHW" if graph.op(var) == CONV_3D else "HW"
    n, c, *size = _dims(data, str(attrs.data_layout), f"NC{space}")
    o, *out = _dims(var, str(attrs.out_layout or attrs.data_layout), f"C{space}")
    kernel = _dims(weight, str(attrs.kernel_layout), space)
    found = convolution_counts(
        *(c, o, kernel, size, out),
        groups=int(attrs.groups),
        batch=n,
        dtype=str(data.ty.dtype),
        weight_dtype=str(weight.ty.dtype),
    )
    return Work(found.multiply_adds, found.bytes)


def _transposed(graph: Graph, var: relax.Var, algorithm: Deconvolution) -> Work:
    is_volume = graph.op(var) == CONV_3D_TRANSPOSE
    found = read_volume(graph, var) if is_volume else read(graph, var)
    call = graph.value(var)
    if found is None or isinstance(found, Refused):
        # Of another layout or dtype: every input meets every tap.
        weights = prod(_sizes(call.args[1]))
        channels = _dims(call.args[0], str(call.attrs.data_layout), "C")[0]
        products = prod(_sizes(call.args[0])) * weights // channels
        return Work(products, sum(map(bytes_moved, (*call.args, var))))
    if isinstance(found, Convolution):
        n, _, h, w = _sizes(found.data)
        one = counts(Operator(found.op, "deconv", h, w, n, found.dtype), algorithm)
        return Work(one.multiply_adds, one.bytes)
    phases = total(_slices(conv, algorithm) for conv in found)
    words = bytes_moved(call.args[0]) + bytes_moved(var)
    return Work(phases.multiply_adds, phases.weight_bytes + phases.processing_bytes + words)


def _slices(conv: Convolution, algorithm: Deconvolution) -> Counts:
    """The slices of one phase of the depth, as pictures of one batch."""
    assert conv.stack is not None
    n, _, d, h, w = _sizes(conv.data)
    pictures = n * conv.stack.slices(d)
    return counts(Operator(conv.op, "deconv", h, w, pictures, conv.dtype), algorithm)


def _dims(tensor: relax.Expr, layout: str, axes: str) -> list[int]:
    sizes = _sizes(tensor)
    return [sizes[layout.index(axis)] for axis in axes]


def _sizes(tensor: relax.Expr) -> tuple[int, ...]:
    shape = shape_of(tensor)
    free = [text(dim) for dim in shape or ("of unknown rank",) if not isinstance(dim, int)]
    if free:
        raise ModelError(
            f"the model needs sizes, and {getattr(tensor, 'name', 'a tensor')} has {free[0]}: "
            "fix the inputs' shapes (--shape INPUT=1,3,64,64)"
        )
    return tuple(shape or ())
