"""What follows a layer pointwise, as a part of its store; of processors and GPUs alike."""

from __future__ import annotations

from tvm.s_tir import Schedule


def inline_epilogue(sch: Schedule, keep: tuple[str, ...]) -> str:
    """Inline every block but ``keep`` and the last one, which is the store; its name.

    store[...] = acc; add[...] = store[...] + b; relu[...] = max(add[...], 0)
    => relu[...] = max(acc + b, 0)
    """
    (output,) = sch.get_output_blocks(sch.get_sblock("root"))
    store = str(sch.get(output).name_hint)
    for block in sch.get_child_blocks(sch.get_sblock("root")):
        if sch.get(block).name_hint not in (*keep, store):
            sch.compute_inline(block)
    return store
