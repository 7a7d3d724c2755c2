"""Conditions on free sizes under a name of their own, while TVM cuts buffers to what is touched.

``CompactBufferAllocation`` asks of each access to a scratch buffer what every condition around it
says of the place, and solves inequalities for it. Of a free size nothing follows for a buffer whose
size is known, but asking took a third of the time of lowering a kernel of Winograd's form::

    if (place) < h: body   =>   inside = (place) < h; if inside: body

The next simplification puts the condition back, so that the code generated stays the same.

Where all memory is allocated by statements (``edit.allocating``) there is nothing to cut, and of
some conditions on loops the pass fails ("hint_it != hint_map_->end()").
"""

from __future__ import annotations

import tvm_ffi
from tvm import tirx

from . import edit
from .sizes import reads, sizes_of


def with_named_conditions(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, scheduled, with each condition that reads a free size bound to a variable.

    Every condition is where no block allocates memory.
    """
    sizes, whole = sizes_of(func), not edit.blocks_allocate(func)
    if not (sizes or whole):
        return func

    def named(branch: tirx.IfThenElse) -> tirx.Stmt:
        if not (whole or reads(branch.condition, sizes)):
            return branch
        inside = tirx.Var("inside", branch.condition.ty)
        chosen = tirx.IfThenElse(inside, branch.then_case, branch.else_case)
        return tirx.SeqStmt([tirx.Bind(inside, branch.condition), chosen])

    return func.with_body(tvm_ffi.structural_map(func.body, (tirx.IfThenElse, named)))
