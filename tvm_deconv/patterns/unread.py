"""Why an upsampling operator that no convolution reads is left."""

from __future__ import annotations

from tvm_deconv.algebra.axis_map import AxisMap

from . import layouts
from .copying import read_copying
from .graph import Graph, Refused, Tensor
from .operators import CONVOLUTIONS, REPEAT, RESIZE, UNARY


def unread(graph: Graph, var: Tensor) -> Refused | None:
    """Why an upsampling that no convolution reads is left; None if ``var`` is no upsampling."""
    if graph.interpolated(var) is not None:
        return None  # Of another rule.
    resampled = graph.resampled(var)
    layout = _layout_of(graph, var)
    if graph.repeated(var) is not None and len(graph.shape(var) or ()) == len(layout):
        # Of the functions that repeat along one axis each, the last speaks for all.
        return None if resampled is None else blocked(graph, var, graph.name(var))
    if resampled is not None:
        return Refused(f"{graph.name(var)} is {resampled}")
    call = graph.call(var)
    if call is not None and call.op == REPEAT and _is_repeated_further(graph, var):
        return None  # So it does of operators.
    is_resize = call is not None and call.op == RESIZE
    layout = str(call.attrs.layout) if call is not None and is_resize else layout
    found = read_copying(graph, var, layout)
    if isinstance(found, Refused):
        return found if is_resize else None
    if found is None or not found.upsamples:
        return None
    maps = found.apply((AxisMap(None),) * (len(layout) - 2))
    if not is_resize and isinstance(maps, Refused):
        return None
    return blocked(graph, var)


def blocked(graph: Graph, upsampling: Tensor, name: str | None = None) -> Refused:
    """What stands between an upsampling and any convolution; ``name`` is said in its place."""
    for user in graph.users.get(upsampling, []):
        call = graph.call(user)
        if call is not None and call.op in CONVOLUTIONS:
            step = read_copying(graph, upsampling, str(call.attrs.data_layout))
            if isinstance(step, Refused):
                return step
    var = upsampling
    while len(users := graph.users.get(var, [])) == 1 and var not in graph.outputs:
        step = read_copying(graph, users[0], _layout_of(graph, var))
        if isinstance(step, Refused):
            return step
        if step is None and graph.operator(users[0]) not in UNARY:
            break
        var = users[0]
    name = name or graph.describe(upsampling)
    return Refused(f"{name} is read by {graph.readers_text(var)}, not by a convolution")


def _layout_of(graph: Graph, var: Tensor) -> str:
    return layouts.VOLUME if len(graph.shape(var) or ()) == 5 else "NCHW"


def _is_repeated_further(graph: Graph, var: Tensor) -> bool:
    """Whether one operator reads ``var``, and repeats it along another axis."""
    users = graph.users.get(var, [])
    return len(users) == 1 and var not in graph.outputs and graph.operator(users[0]) == REPEAT
