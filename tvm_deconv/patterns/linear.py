"""Is a ``resize2d`` a linear resize (half_pixel) by whole factors? Told by its method and mode."""

from __future__ import annotations

from .graph import Graph, Interpolated, Refused, Tensor
from .nearest import factor_of
from .operators import RESIZE

# PyTorch's differs for a result of one sample only, and whole factors make more.
_MODES = ("half_pixel", "pytorch_half_pixel")


def read_linear(graph: Graph, tensor: Tensor) -> Interpolated | Refused | None:
    """What the operator ``tensor`` is a linear resize of; None if it is none at all.

    Refused is the answer for a linear resize that no rule folds.
    """
    call = graph.call(tensor)
    if call is None or call.op != RESIZE or call.attrs.method != "linear":
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


def not_folded(graph: Graph, tensor: Tensor) -> str | None:
    """What a linear ``resize2d`` is that no rule folds; None of anything else."""
    found = read_linear(graph, tensor)
    return found.reason if isinstance(found, Refused) else None
