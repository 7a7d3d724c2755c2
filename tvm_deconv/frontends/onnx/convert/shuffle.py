"""DepthToSpace and SpaceToDepth."""

from __future__ import annotations

from typing import Any

from tvm import relax, te, tirx

from ..nodes import refuse
from .call import Call, shape_of


def depth_to_space(call: Call) -> relax.Expr:
    """In the operators of which the rewrite knows the sub-pixel convolution."""
    x, block = call.tensor(0), _block(call)
    n, c, h, w = _image(x)
    mode = call.choice("mode", "DCR", ("DCR", "CRD"))
    if not isinstance(c, int):
        refuse("the number of its channels is free: give the shapes of the inputs")
    if c % block**2:
        refuse(f"blocksize {block} needs a multiple of {block**2} channels, its input has {c}")
    out = c // block**2
    split, order = (n, block, block, out, h, w), [0, 3, 4, 1, 5, 2]
    if mode == "CRD":
        split, order = (n, out, block, block, h, w), [0, 1, 4, 2, 5, 3]
    spread = call.emit(relax.op.reshape(x, split))
    moved = call.emit(relax.op.permute_dims(spread, order))
    return relax.op.reshape(moved, (n, out, h * block, w * block))


def space_to_depth(call: Call) -> relax.Expr:
    x, block = call.tensor(0), _block(call)
    n, c, h, w = _image(x)
    is_crd = call.choice("mode", "DCR", ("DCR", "CRD")) == "CRD"
    for size in (h, w):
        if isinstance(size, int) and size % block:
            refuse(f"blocksize {block} does not divide the size {size} of its input")
    if not all(isinstance(size, int) for size in (c, h, w)):
        # Reshapes would divide and multiply the free sizes, which no analysis can undo.
        return _gathered(call, x, block, is_crd)
    split = call.emit(relax.op.reshape(x, (n, c, h // block, block, w // block, block)))
    order = [0, 1, 3, 5, 2, 4] if is_crd else [0, 3, 5, 1, 2, 4]
    moved = call.emit(relax.op.permute_dims(split, order))
    return relax.op.reshape(moved, (n, c * block**2, h // block, w // block))


def _gathered(call: Call, x: relax.Expr, block: int, is_crd: bool) -> relax.Expr:
    def compute(x: te.Tensor) -> te.Tensor:
        n, c, h, w = x.shape
        shape = [n, c * block**2, tirx.floordiv(h, block), tirx.floordiv(w, block)]

        def value(b: Any, o: Any, y: Any, z: Any) -> Any:
            phase = tirx.floormod(o, block**2) if is_crd else tirx.floordiv(o, c)
            channel = tirx.floordiv(o, block**2) if is_crd else tirx.floormod(o, c)
            row, column = tirx.floordiv(phase, block), tirx.floormod(phase, block)
            return x(b, channel, y * block + row, z * block + column)

        return te.compute(shape, value, name="space_to_depth")

    return call.builder.emit_te(compute, x)


def _block(call: Call) -> int:
    block = call.get("blocksize", 0)
    if block < 1:
        refuse(f"blocksize is {block}: give a positive number")
    return int(block)


def _image(x: relax.Expr) -> list[Any]:
    shape = shape_of(x)
    if len(shape) != 4:
        refuse(f"its input has {len(shape)} axes, not 4")
    return shape
