"""The products of a block transformed back, interleaved, and stored with what follows."""

from __future__ import annotations

from itertools import product
from typing import Any

from tvm import tirx
from tvm.s_tir import SBlockRealize

from tvm_deconv.schedules.algorithms.expressions import by_phase, static
from tvm_deconv.schedules.algorithms.names import OUTPUTS
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.straight_line import StraightLine

from .filters import inverted
from .strip import Strip, product_at


def clear_reach(strip: Strip) -> list[tirx.Stmt]:
    """Products beyond those computed, where the last row of tiles reaches further; or nothing.

    They are never used, but memory that nobody wrote may hold slow denormal numbers.
    """
    first, last = strip.layout.strip_tiles, strip.layout.output_reach
    if last <= first:
        return []
    row = strip.loop("row", strip.layout.rows)
    return [edit.rebuild([row], strip.clear(strip.products, first, last, row.loop_var))]


def write_outputs(strip: Strip) -> tirx.Stmt:
    """for channel: invert the depth; for tile and output along it, fh, row of tiles of each
    residue: invert columns; for row of outputs: invert it; store."""
    layout, d, h = strip.layout, strip.layout.d, strip.layout.h
    channel = strip.loop("o", layout.tile.block)
    deep, k = strip.loop("tz", d.tiles), strip.loop("k", d.outputs)
    phase = strip.loop("fh", h.phases)
    ty, rh = strip.loop("ty", h.tiles), strip.loop("rh", h.step)
    row = strip.loop("i", h.outputs)
    f = strip.place[3]
    o = strip.place[5] * layout.tile.block + channel.loop_var
    line = layout.line(deep.loop_var, ty.loop_var) + rh.loop_var
    z, sy = strip.places.of_strip(strip.place[1])
    y = ty.loop_var * h.unit + rh.loop_var + row.loop_var * h.step
    y = sy * h.span + y - by_phase(h.shifts, phase.loop_var)
    oh = y * h.axis.stride + f + phase.loop_var
    q = z * d.span + deep.loop_var * d.unit + k.loop_var
    place = strip.places.written(q, oh)
    elements = _invert_row(strip, channel.loop_var, phase.loop_var, line, row.loop_var)
    inside = tirx.all(y >= 0, *_inside(strip, q, oh))
    stored = tirx.IfThenElse(inside, tirx.SeqStmt([elements, _store_row(strip, o, place)]), None)
    body = edit.rebuild([row], stored)
    if h.points > 1:
        columns = _invert_columns(strip, channel.loop_var, k.loop_var, phase.loop_var, line)
        body = tirx.SeqStmt([columns, body])
    nest = edit.rebuild([deep, k, phase, ty, rh], body)
    if d.points > 1:
        nest = tirx.SeqStmt([_invert_depth(strip, channel.loop_var), nest])
    if layout.computed_channels > strip.conv.group_outputs:
        nest = tirx.IfThenElse(o < strip.conv.group_outputs, nest, None)
    return edit.rebuild([channel], nest)


def _inside(strip: Strip, q: Any, oh: Any) -> list[Any]:
    """What holds if there is row ``oh`` of output slice ``q``."""
    slices = strip.places.slices
    if slices is None:
        return [oh < strip.store.block.writes[0].source.shape[2]]
    return [oh < strip.layout.h.axis.output_size(slices.height), q < slices.count]


def _invert_depth(strip: Strip, channel: Any) -> tirx.Stmt:
    """for row of the channel, product, vector: products[outputs, ...] = A^T products[points, ...].

    Of all tiles of the strip at once: what lies behind those of one tile along the depth is the
    next one's.
    """
    layout, d, h = strip.layout, strip.layout.d, strip.layout.h
    row = strip.loop("row", h.row_phases * layout.w.row_phases)
    u, v = strip.loop("u", h.products), strip.loop("v", layout.w.products)
    chunk = strip.loop("tx", layout.strip_tiles // strip.lanes)
    at = channel * row.extent + row.loop_var

    def place(k: int) -> list[Any]:
        return [u.loop_var, v.loop_var * d.points + k, at, chunk.loop_var * strip.lanes]

    code = StraightLine()
    values = [code.name(strip.load(strip.products, place(t))) for t in range(d.points)]
    for k, value in enumerate(inverted(code, d.filter, values)):
        code.statements.append(strip.put(strip.products, place(k), value))
    return edit.rebuild([row, u, v, chunk], tirx.SeqStmt(code.statements))


def _invert_columns(strip: Strip, channel: Any, k: Any, phase: Any, line: Any) -> tirx.Stmt:
    """for fw, residue, v, vector of tiles: inverted[fw, residue, i, v, tiles] = A^T M.

    M are the products of output ``k`` along the depth.
    """
    layout, h, w = strip.layout, strip.layout.h, strip.layout.w
    fw, rw = strip.loop("fw", w.axis.stride), strip.loop("rw", w.step)
    v, chunk = strip.loop("v", w.points), strip.loop("tx", layout.output_chunks)
    row = w.row(h.row(channel, phase), fw.loop_var)
    first = chunk.loop_var * strip.lanes
    tau = (line * w.step + rw.loop_var) * w.positions + first
    at = product_at(w, v.loop_var, fw.loop_var) * layout.d.points + k
    code = StraightLine()
    places = [[h.product(u, phase), at, row, tau] for u in range(h.points)]
    products = [code.name(strip.load(strip.products, place)) for place in places]
    for i, value in enumerate(inverted(code, h.filter, products)):
        place = [fw.loop_var, rw.loop_var, i, v.loop_var, first]
        code.statements.append(strip.put(strip.inverted, place, value))
    return edit.rebuild([fw, rw, v, chunk], tirx.SeqStmt(code.statements))


def _invert_row(strip: Strip, channel: Any, phase: Any, line: Any, i: Any) -> tirx.Stmt:
    """for fw, residue, vector of tiles: outputs[fw, columns, tiles] = inverted[..., i, v, tiles] A.

    With one row of taps it is the products that are inverted.
    """
    layout, h, w = strip.layout, strip.layout.h, strip.layout.w
    fw, rw = strip.loop("fw", w.axis.stride), strip.loop("rw", w.step)
    chunk = strip.loop("tx", layout.output_chunks)
    row = w.row(h.row(channel, phase), fw.loop_var)
    first = chunk.loop_var * strip.lanes
    tau = (line * w.step + rw.loop_var) * w.positions + first
    code = StraightLine()

    def point(v: int) -> Any:
        if h.points > 1:
            load = strip.load(strip.inverted, [fw.loop_var, rw.loop_var, i, v, first])
        else:
            load = strip.load(strip.products, [0, w.product(v, fw.loop_var), row, tau])
        return code.name(load)

    values = inverted(code, w.filter, [point(v) for v in range(w.points)])
    for j, value in enumerate(values):
        place = [fw.loop_var, j * w.step + rw.loop_var, first]
        code.statements.append(strip.put(strip.outputs, place, value))
    return edit.rebuild([fw, rw, chunk], tirx.SeqStmt(code.statements))


def _store_row(strip: Strip, o: Any, oh: Any) -> tirx.Stmt:
    """for vector of tiles: line = outputs of all fw, interleaved; store what is inside."""
    layout, w, lanes = strip.layout, strip.layout.w, strip.lanes
    n, _, sx, _, g, _ = strip.place
    out_width = strip.store.block.writes[0].source.shape[3]
    chunk = strip.loop("tx", layout.output_chunks)
    per_chunk = w.unit * w.axis.stride
    first = (sx * w.span + chunk.loop_var * (w.unit * lanes)) * w.axis.stride
    end = tirx.min((sx + 1) * (w.span * w.axis.stride), out_width)

    code = StraightLine()

    def source(j: int, fw: int) -> Any:
        later, column = divmod(j + w.shifts[fw], w.unit)

        def vector(number: Any) -> Any:
            return code.name(strip.load(strip.outputs, [fw, column, number * lanes]))

        if not later:
            return vector(chunk.loop_var)
        # Loaded as one vector, which was not stored as one, it would wait for both stores.
        pair = vector(chunk.loop_var), vector(chunk.loop_var + 1)
        return code.name(edit.shuffle(pair, range(later, later + lanes)))

    places = product(range(w.unit), range(w.axis.stride))
    sources = [source(j, fw) for j, fw in places]
    wide = code.interleave(sources)

    at = [n, g * strip.conv.group_outputs + o, oh]
    # Of free width, the number of elements left is made of remainders by a free number.
    left = code.name(end - first) if not isinstance(static(out_width), int) else end - first

    def filled(line: Any, stores: tirx.Stmt) -> tirx.Stmt:
        puts = [strip.put(line, [index * lanes], vector) for index, vector in enumerate(wide)]
        return tirx.SeqStmt([*puts, stores])

    # The line is a memory of its own where elements are read one by one: the other then stays
    # in registers.
    whole = filled(strip.line, _store_whole(strip, at, first, per_chunk))
    part = filled(strip.edge, _store_part(strip, at, first, per_chunk, left))
    stores = tirx.IfThenElse(first + per_chunk * lanes <= end, whole, part)
    return edit.rebuild([chunk], tirx.SeqStmt([*code.statements, stores]))


def _store_whole(strip: Strip, at: list[Any], first: Any, vectors: int) -> tirx.Stmt:
    """unrolled v: vectorised lane: store of line[v, lane]."""
    part = strip.loop("v", vectors, tirx.ForKind.UNROLLED)
    return edit.rebuild([part], _store_vector(strip, at, first, strip.line, part.loop_var))


def _store_part(strip: Strip, at: list[Any], first: Any, vectors: int, left: Any) -> tirx.Stmt:
    """for v: whole vectors of edge, then the elements that are left.

    Of a free number it is a loop, so that its code stands there once.
    """
    free, lanes = isinstance(left, tirx.Var), strip.lanes
    part = strip.loop("v", vectors, tirx.ForKind.SERIAL if free else tirx.ForKind.UNROLLED)
    offset = part.loop_var * lanes
    element = strip.loop("j", lanes if free else left - offset)
    some = _store_element(strip, at, first, strip.edge, offset + element.loop_var)
    if free:
        some = tirx.IfThenElse(offset + element.loop_var < left, some, None)
    rest = edit.rebuild([element], some)
    if not free:
        rest = tirx.IfThenElse(offset < left, rest, None)
    vector = _store_vector(strip, at, first, strip.edge, part.loop_var)
    return edit.rebuild([part], tirx.IfThenElse(offset + lanes <= left, vector, rest))


def _store_vector(strip: Strip, at: list[Any], first: Any, line: Any, number: Any) -> tirx.Stmt:
    lane = strip.loop("lane", strip.lanes, tirx.ForKind.VECTORIZED)
    place = number * strip.lanes + lane.loop_var
    return edit.rebuild([lane], _store_element(strip, at, first, line, place))


def _store_element(
    strip: Strip, at: list[Any], first: Any, line: Any, offset: Any
) -> SBlockRealize:
    """The store's block for one element, which stands in ``line[offset]``."""
    column = strip.store.block.iter_vars[-1].var
    written = strip.definition[OUTPUTS].writes[0]
    reading = edit.redirected(strip.store, written, lambda _: (line, [column - first]))
    return edit.with_block(reading, iter_values=[*at, first + offset], predicate=True)
