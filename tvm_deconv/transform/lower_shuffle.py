"""``LowerShuffles``: a pixel shuffle that no rule rewrote, as one function.

As reshape -> permute_dims -> reshape it becomes a chain of divisions by symbolic sizes when height
and width are free, which takes LLVM minutes. As one gather the only divisors are the factors:

    y[n, o, i, j] = x[n, source[o, i mod r_h, j mod r_w], i div r_h, j div r_w]
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax, te
from tvm.relax.expr_functor import PyExprMutator, mutator

from . import layouts
from .matching import Graph, is_var
from .plan import rebind
from .shuffle import Shuffle, read_shuffle


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.LowerShuffles")
class LowerShuffles:
    """Relax module pass: CRD and DCR shuffles of any form and size to one unscheduled PrimFunc.

    The result is elementwise in its output, so that FuseOps can join it with what follows.
    """

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """The module with every shuffle of order CRD or DCR as a single function."""
        result = mod
        for name, func in mod.functions_items():
            shuffles = _shuffles(Graph(func)) if isinstance(func, relax.Function) else []
            if shuffles:
                rebuild = _Rebuild(result, shuffles)
                func = rebuild.visit_expr(func)
                result = rebuild.builder_.get()
                result.update_func(name, func)
        return relax.transform.DeadCodeElimination()(result) if result is not mod else mod


def _shuffles(graph: Graph) -> list[Shuffle]:
    found = (read_shuffle(graph, var) for var in graph.order if var in graph.live)
    return [s for s in found if isinstance(s, Shuffle) and s.order in ("CRD", "DCR")]


@mutator
class _Rebuild(PyExprMutator):
    def __init__(self, mod: tvm.IRModule, shuffles: list[Shuffle]) -> None:
        super().__init__(mod)
        self.shuffles = shuffles

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        shuffle = next((s for s in self.shuffles if is_var(s.result, binding.var)), None)
        if shuffle is None:
            super().visit_var_binding_(binding)
            return
        data = layouts.to(self.builder_, self.visit_expr(shuffle.data), shuffle.data_layout, "NCHW")
        value = self.builder_.call_te(_gather(shuffle), data, primfunc_name_hint="pixel_shuffle")
        rebind(self, binding, layouts.to(self.builder_, value, "NCHW", shuffle.result_layout))


def _gather(shuffle: Shuffle):
    outputs, rh, rw = shuffle.source.shape
    per_output, per_phase = (rh * rw, 1) if shuffle.order == "CRD" else (1, outputs)
    expected = per_output * np.arange(outputs)[:, None] + per_phase * np.arange(rh * rw)
    assert (shuffle.source.reshape(outputs, -1) == expected).all()

    def gather(x: te.Tensor) -> te.Tensor:
        n, _, h, w = x.shape
        return te.compute(
            (n, outputs, h * rh, w * rw),
            lambda b, o, i, j: x[
                b, o * per_output + ((i % rh) * rw + j % rw) * per_phase, i // rh, j // rw
            ],
            name="pixel_shuffle",
        )

    return gather
