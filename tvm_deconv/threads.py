"""How many threads a kernel uses.

On x86 TVM takes half of the logical processors, which on a machine with two is one; it counts those
of the whole machine from 0 even where the process may only run on others; and the first parallel
kernel narrows the main thread to the processors counted. Saying all of it explicitly avoids all
three, and leaves the affinity of the process alone.
"""

from __future__ import annotations

import itertools
import os

import tvm

from tvm_deconv.schedules.cpu.processors import available_processors, check_threads

# tvm::runtime::threading::ThreadGroup::AffinityMode: all threads may run on all listed processors.
_SHARE_ALL = -3


def use_threads(count: int | None = None) -> int:
    """Let kernels launched from the calling thread use ``count`` threads, or all processors.

    In a container that is given the time of fewer processors than there are, it is so many threads.
    Returns the number they do use. That is less where TVM's pool was already started with fewer,
    so call it before the first kernel runs; compiling folds constants with kernels, too.

    Raises TargetError for a count that is no positive integer.
    """
    if count is not None:
        count = check_threads(count)
    if hasattr(os, "sched_getaffinity"):
        processors = sorted(os.sched_getaffinity(0))
    else:
        processors = list(range(available_processors()))
    wanted = available_processors() if count is None else count
    # The pool never has more threads than processors listed, so more threads repeat some.
    listed = list(itertools.islice(itertools.cycle(processors), max(wanted, len(processors))))
    configure = tvm.get_global_func("runtime.config_threadpool")
    configure(_SHARE_ALL, wanted, [str(processor) for processor in listed])
    return int(tvm.get_global_func("runtime.NumThreads")())
