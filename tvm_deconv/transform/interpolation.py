"""Which tensors of a Relax function are linear resizes (half_pixel) by whole factors.

There are two spellings: PrimFuncs of our importers, one for each axis, which say so in their
attributes (``INTERPOLATED``), and ``relax.image.resize2d``, which TVM's importers write. The latter
is one if its method and mode are these.
"""

from __future__ import annotations

from collections.abc import Callable

from tvm import relax

from tvm_deconv.annotations import INTERPOLATED
from tvm_deconv.patterns.graph import Graph, Interpolated, Refused
from tvm_deconv.patterns.nearest import factor_of
from tvm_deconv.patterns.operators import RESIZE

# PyTorch's differs for a result of one sample only, and whole factors make more.
_MODES = ("half_pixel", "pytorch_half_pixel")

# Attribute of the PrimFunc that computes a tensor, None where there is none.
Annotation = Callable[[relax.Expr, str], str | None]


def read_interpolated(
    graph: Graph, annotation: Annotation, tensor: relax.Expr
) -> Interpolated | None:
    """What ``tensor`` is a linear resize of, along all axes of which that can be said."""
    call = graph.call(tensor)
    if call is None:
        return None
    if call.op == "astype":
        # Sums of float16 are float32, and rounded at the end.
        inner = read_interpolated(graph, annotation, call.args[0])
        same = inner is not None and graph.dtype(inner.data) == graph.dtype(tensor)
        return inner if same else None
    if call.op == RESIZE:
        found = _read_resize(graph, tensor)
        return found if isinstance(found, Interpolated) else None
    factors: dict[int, int] = {}
    data = tensor
    while (said := annotation(data, INTERPOLATED)) is not None:
        axis, factor = map(int, said.split())
        call = graph.call(data)
        if axis in factors or call is None:
            break  # Enlarged twice is not enlarged once.
        factors[axis] = factor
        data = call.args[1].fields[0]
    shape = graph.shape(tensor)
    if not factors or shape is None or not graph.is_variable(data):
        return None
    return Interpolated(tensor, data, tuple(factors.get(axis, 1) for axis in range(len(shape))))


def linear_but_not_folded(graph: Graph, tensor: relax.Expr) -> str | None:
    """What a linear ``relax.image.resize2d`` is that is none of these; None of anything else."""
    found = _read_resize(graph, tensor) if graph.operator(tensor) == RESIZE else None
    return found.reason if isinstance(found, Refused) else None


def _read_resize(graph: Graph, tensor: relax.Expr) -> Interpolated | Refused | None:
    call = graph.call(tensor)
    if call is None or call.attrs.method != "linear":
        return None
    data, mode = call.args[0], str(call.attrs.coordinate_transformation_mode)
    before, after = graph.shape(data), graph.shape(tensor)
    if before is None or after is None or not graph.is_variable(data):
        return None
    if mode not in _MODES:
        return Refused(f"a linear resize with {mode}, of which only half_pixel is folded")
    dtypes = graph.dtype(data), graph.dtype(tensor)
    if dtypes[0] != dtypes[1]:
        return Refused(f"a linear resize from {dtypes[0]} to {dtypes[1]}")
    factors = []
    for size, target in zip(before, after, strict=True):
        factor = factor_of(graph, size, target)
        if isinstance(factor, Refused):
            return Refused(f"a linear resize, of which the {factor.reason}")
        factors.append(factor)
    return Interpolated(tensor, data, tuple(factors))
