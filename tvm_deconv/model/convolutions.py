"""The work of one convolution of a network, of pictures (``counts``), lines or volumes.

Where its input is dequantized bytes, and its weights are integers times scales, it multiplies
integers. Tensors are counted as what lies in memory (``stored_as``): bytes that are dequantized
where they are read, and a map that is quantized where it is stored.

A line is a picture of one row (``AddHeight``). A volume is counted as it is computed: a transposed
convolution slice by slice of its output, where a slice sums over the taps of its phase of the
depth, each a transposed convolution over a picture (``algebra.volumes``). Words of volumes move
once, also between the slices.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any, Final, Literal, TypeAlias

from tvm import relax

from tvm_deconv.algebra.byte_forms import Forms, forms_of
from tvm_deconv.errors import ModelError
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.size_errors import readable
from tvm_deconv.transform.graph import BROADCAST, UNARY, Graph, dtype_of, shape_of
from tvm_deconv.transform.keep_bytes import BYTES, DEQUANTIZE, QUANTIZE
from tvm_deconv.transform.lower.integers import BytesConvolution, read_bytes
from tvm_deconv.transform.lower.read import CONV, CONV_TRANSPOSE, Convolution, read
from tvm_deconv.transform.lower.volumes import CONV_3D, CONV_3D_TRANSPOSE, read_volume

from .byte_forms import FormCounts, least_counts
from .counts import Counts, Deconvolution, convolution_counts, counts, total
from .operators import Operator, bytes_of
from .roofline import Work

PLAIN, TRANSPOSED = frozenset((CONV, CONV_3D)), frozenset((CONV_TRANSPOSE, CONV_3D_TRANSPOSE))
CONVOLUTIONS = PLAIN | TRANSPOSED
OURS: Final = "ours"
"""Our kernels leave out the taps that a phase lacks, as ``measured`` says: counts of ``revd``. Of
bytes they take forms of fewer products."""
Computed: TypeAlias = Deconvolution | Literal["ours"]

# What is computed where its first operand is stored.
POINTWISE = UNARY | BROADCAST | {"relax.nn.prelu", "relax.nn.batch_norm", QUANTIZE, DEQUANTIZE}
# What costs nothing.
FREE = frozenset(
    f"relax.{name}"
    for name in ("reshape", "flatten", "squeeze", "expand_dims", "shape_of", "shape_to_tensor")
)


def integers_of(graph: Graph, var: relax.Var) -> BytesConvolution | None:
    """The convolution ``var`` if it multiplies integers, of weights that int16 holds."""
    found = read_bytes(graph, var)
    if isinstance(found, BytesConvolution) and found.weight_dtype is not None:
        return found
    return None


def convolution_work(
    graph: Graph, var: relax.Var, algorithm: Computed, integers: BytesConvolution | None
) -> Work:
    """That of ``var``, which is one of ``CONVOLUTIONS``; ``algorithm`` computes transposed ones.

    ``integers`` is what ``integers_of`` says of it. Raises ModelError where a size is free.
    """
    call = graph.value(var)
    form = _form(graph, integers) if integers is not None and algorithm == OURS else None
    if form is not None:
        found, held_as = form
        moved = found.weight_bytes + bytes_moved(graph, call.args[0]) + bytes_moved(graph, var)
        return Work(found.multiply_adds, moved, **{held_as: found.products})
    taps: Deconvolution = "revd" if algorithm == OURS else algorithm
    made = _plain(graph, var) if graph.op(var) in PLAIN else _transposed(graph, var, taps)
    weights = integers.weight_dtype if integers is not None else dtype_of(call.args[1])
    moved = made.weight_words * bytes_of(str(weights))
    moved += made.activation_words_read * bytes_of(stored_as(graph, call.args[0]))
    moved += made.activation_words_written * bytes_of(stored_as(graph, var))
    products = {} if integers is None else {str(weights): made.multiply_adds}
    return Work(made.multiply_adds, moved, **products)


def _form(graph: Graph, integers: BytesConvolution) -> tuple[FormCounts, str] | None:
    """Of fewer products than tap by tap; None for a layer that has none."""
    op = replace(integers.conv.op, step=integers.conv.step)
    forms = forms_of(op, integers.weight)
    if forms == Forms():
        return None
    n, _, h, w = _sizes(integers.data)
    return least_counts(Operator(op, "deconv", h, w, n, dtype_of(integers.data)), forms)


def stored_as(graph: Graph, tensor: relax.Expr) -> str:
    """The dtype that ``tensor`` has in memory.

    That of its bytes if it is dequantized; if nothing but pointwise operators and one quantization
    follows, that of the latter, unless what that makes is dequantized for the caller at once.
    """
    call = graph.value(tensor)
    if call is None:
        return dtype_of(tensor)
    if graph.op(tensor) == DEQUANTIZE and dtype_of(call.args[0]) in BYTES:
        return dtype_of(call.args[0]) if tensor not in graph.outputs else dtype_of(tensor)
    reader: Any = tensor
    while True:
        readers = graph.users.get(reader, [])
        if len(readers) != 1 or reader in graph.outputs:
            return dtype_of(tensor)
        last, reader = reader, readers[0]
        is_inside = graph.op(reader) in POINTWISE | FREE
        if not is_inside or not graph.value(reader).args[0].same_as(last):
            return dtype_of(tensor)
        if graph.op(reader) == QUANTIZE:
            break
    after = graph.users.get(reader, [])
    is_last = len(after) == 1 and graph.op(after[0]) == DEQUANTIZE and after[0] in graph.outputs
    return dtype_of(after[0] if is_last and reader not in graph.outputs else reader)


def bytes_moved(graph: Graph, tensor: relax.Expr) -> int:
    """Bytes of a tensor or of a tuple of them. Raises ModelError where a size is free."""
    ty: Any = tensor.ty
    if isinstance(ty, relax.TupleType):
        whole = graph.value(tensor)
        if isinstance(whole, relax.Tuple):
            return sum(bytes_moved(graph, part) for part in whole.fields)
        return sum(prod(map(int, f.shape.values)) * bytes_of(str(f.dtype)) for f in ty.fields)
    if not isinstance(ty, relax.TensorType):
        return 0
    return prod(_sizes(tensor)) * bytes_of(stored_as(graph, tensor))


def _plain(graph: Graph, var: relax.Var) -> Counts:
    call = graph.value(var)
    data, weight = call.args
    attrs = call.attrs
    space = "DHW" if graph.op(var) == CONV_3D else "HW"
    n, c, *size = _dims(data, str(attrs.data_layout), f"NC{space}")
    o, *out = _dims(var, str(attrs.out_layout or attrs.data_layout), f"C{space}")
    kernel = _dims(weight, str(attrs.kernel_layout), space)
    return convolution_counts(c, o, kernel, size, out, groups=int(attrs.groups), batch=n)


def _transposed(graph: Graph, var: relax.Var, algorithm: Deconvolution) -> Counts:
    is_volume = graph.op(var) == CONV_3D_TRANSPOSE
    found = read_volume(graph, var) if is_volume else read(graph, var)
    call = graph.value(var)
    words = prod(_sizes(call.args[0])), prod(_sizes(var))
    if found is None or isinstance(found, Refused):
        # Of another layout or dtype: every input meets every tap.
        weights = prod(_sizes(call.args[1]))
        channels = _dims(call.args[0], str(call.attrs.data_layout), "C")[0]
        products = prod(_sizes(call.args[0])) * weights // channels
        return Counts(products, weights, *words)
    if isinstance(found, Convolution):
        n, _, h, w = _sizes(found.data)
        return counts(Operator(found.op, "deconv", h, w, n, found.dtype), algorithm)
    phases = total(_slices(conv, algorithm) for conv in found)
    # Between the slices, too, they move once.
    return Counts(phases.multiply_adds, phases.weight_words, *words)


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
    free = [readable(dim) for dim in shape or ("of unknown rank",) if not isinstance(dim, int)]
    if free:
        raise ModelError(
            f"the model needs sizes, and {getattr(tensor, 'name', 'a tensor')} has {free[0]}: "
            "fix the inputs' shapes (--shape INPUT=1,3,64,64)"
        )
    return tuple(shape or ())
