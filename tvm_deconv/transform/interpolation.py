"""Which tensors of a Relax function are resizes that a rule knows, in functions of their own.

Our importers write PrimFuncs, one for each axis, which say so in their attributes: linear resizes
(half_pixel) by whole factors (``INTERPOLATED``), which may also be ``relax.image.resize2d``, as
TVM's importers write it (``patterns.linear``), and nearest ones that are cropped (``REPEATED``).
"""

from __future__ import annotations

from collections.abc import Callable

from tvm import relax

from tvm_deconv.annotations import INTERPOLATED, REPEATED
from tvm_deconv.patterns.graph import Graph, Interpolated, Repeated
from tvm_deconv.patterns.linear import read_linear
from tvm_deconv.patterns.operators import RESIZE

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
        found = read_linear(graph, tensor)
        return found if isinstance(found, Interpolated) else None
    along = _along_axes(graph, annotation, tensor, INTERPOLATED)
    return None if along is None else Interpolated(tensor, *along)


def read_repeated(graph: Graph, annotation: Annotation, tensor: relax.Expr) -> Repeated | None:
    """What ``tensor`` repeats, along all axes of which that can be said."""
    along = _along_axes(graph, annotation, tensor, REPEATED)
    return None if along is None else Repeated(*along)


def _along_axes(
    graph: Graph, annotation: Annotation, tensor: relax.Expr, key: str
) -> tuple[relax.Expr, tuple[int, ...]] | None:
    """What functions with the attribute ``key`` enlarge, and by how much along each axis."""
    factors: dict[int, int] = {}
    data = tensor
    while (said := annotation(data, key)) is not None:
        axis, factor = map(int, said.split())
        call = graph.call(data)
        if axis in factors or call is None:
            break  # Enlarged twice is not enlarged once.
        factors[axis] = factor
        data = call.args[1].fields[0]
    shape = graph.shape(tensor)
    if not factors or shape is None or not graph.is_variable(data):
        return None
    return data, tuple(factors.get(axis, 1) for axis in range(len(shape)))
