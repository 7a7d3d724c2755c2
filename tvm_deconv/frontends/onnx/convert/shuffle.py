"""DepthToSpace and SpaceToDepth."""

from __future__ import annotations

from typing import Any

from tvm import relax

from tvm_deconv.frontends.onnx.nodes import refuse

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
    split = call.emit(relax.op.reshape(x, (n, c, h // block, block, w // block, block)))
    order = [0, 1, 3, 5, 2, 4] if is_crd else [0, 3, 5, 1, 2, 4]
    moved = call.emit(relax.op.permute_dims(split, order))
    return relax.op.reshape(moved, (n, c * block**2, h // block, w // block))


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
