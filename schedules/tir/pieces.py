"""The pieces that threads share, where a free size is among their numbers.

Joined into one loop, as ``Schedule.fuse`` does it, the places of a piece are quotients and
remainders by numbers that TVM does not know. It writes them into each index of the nest, thousands
of letters long, and simplifies them in every step of the schedule and every pass after it: four of
the five seconds that one product of matrices of ``h * w`` rows took to compile. So loops over such
numbers stay as they are, and are joined behind everything that asks what their variables are::

    for n in range(batch): for strip in range((h + 8) // 9): body
    => for piece in parallel(batch * ((h + 8) // 9)):
           for n in range(piece / ((h + 8) // 9), 1):
               for strip in range(piece % ((h + 8) // 9), 1):
                   body

The loops of one iteration say so in a form that TVM does not see through: it would put the
quotients into the indices again. When it has seen that they have one iteration it does so after
all. Where a nest is much code, it is not to know more of a place than that it is some number
(``hidden``)::

    => for piece in parallel(batch * ((h + 8) // 9)):
           n, strip = piece / ((h + 8) // 9), piece % ((h + 8) // 9)
           body
"""

from __future__ import annotations

from functools import reduce
from operator import mul
from typing import Any

import tvm_ffi
from tvm import s_tir, tirx

from . import edit
from .hiding import some_number

_PIECES = "tvm_deconv.pieces"
_HIDDEN = "tvm_deconv.hidden"


def join(
    schedule: s_tir.Schedule, loops: list[Any], parallel: bool = True, hidden: bool = False
) -> Any:
    """Share ``loops``, from the outermost on, among the threads; the innermost that is left.

    ``hidden`` is for nests whose memory is allocated by statements: TVM cannot bound that of a
    block by places that it does not know.
    """
    extents = [schedule.get(loop).extent for loop in loops]
    outermost, innermost = loops[0], loops[-1]
    if all(isinstance(extent, tirx.IntImm) for extent in extents):
        outermost = innermost = schedule.fuse(*loops)
    elif len(loops) > 1:
        schedule.annotate(outermost, _PIECES, len(loops))
        schedule.annotate(outermost, _HIDDEN, int(hidden))
    if parallel:
        schedule.parallel(outermost)
    return innermost


def divided(loops: list[tirx.For]) -> tuple[list[tirx.For], list[tirx.For]]:
    """A nest from the outermost loop on as the loops over the pieces, and those within a piece."""
    count = int(loops[0].annotations.get(_PIECES, 1))
    return loops[:count], loops[count:]


def with_joined_pieces(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, scheduled, with the loops that ``join`` left apart as one parallel loop."""

    def joined(outermost: tirx.For) -> tirx.For:
        if _PIECES not in outermost.annotations:
            return outermost
        loops = [outermost]
        while isinstance(loops[-1].body, tirx.For):
            loops.append(loops[-1].body)
        loops, _ = divided(loops)
        number = reduce(mul, [loop.extent for loop in loops])
        name = "_".join(loop.loop_var.name for loop in loops)
        piece = edit.loop(name, str(number.ty.dtype), number, outermost.kind)
        once = tirx.min(number, edit.const_like(number, 1))
        body, inside = loops[-1].body, edit.const_like(number, 1)
        is_hidden = bool(int(outermost.annotations[_HIDDEN]))
        for loop in reversed(loops):
            if _is_one(loop.extent):
                body = edit.with_loop(loop, body=body, annotations={}, kind=tirx.ForKind.SERIAL)
                continue
            place = tirx.truncdiv(piece.loop_var, inside)
            if loop is not outermost:
                place = tirx.truncmod(place, loop.extent)
            inside = loop.extent * inside
            if is_hidden:
                body = edit.sequence([tirx.Bind(loop.loop_var, some_number(place)), body])
            else:
                body = tirx.For(loop.loop_var, place, once, tirx.ForKind.SERIAL, body)
        return edit.with_loop(piece, body=body)

    return func.with_body(tvm_ffi.structural_map(func.body, (tirx.For, joined)))


def _is_one(extent: Any) -> bool:
    return isinstance(extent, tirx.IntImm) and int(extent.value) == 1
