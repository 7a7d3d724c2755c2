"""The contestants that are TVM without this package: ``python -m tvm_deconv.bench.stock NAME``.

``tvm`` is ``relax.build`` with TVM's own pipeline, which schedules nothing on a CPU: scalar loops
on one thread. ``tvm-tuned TRIALS`` is the same model tuned by MetaSchedule, with as many trials for
each kernel, and with the weights laid out as the tuned kernels want them.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile

import tvm
from tvm import relax
from tvm.relax.backend.cpu_generic import pipeline as stock
from tvm.s_tir import meta_schedule

from tvm_deconv.compiler import for_threads
from tvm_deconv.importer import load
from tvm_deconv.threads import use_threads

from .ours import arrays, bound_call, pool_notes
from .worker import Inputs, Loaded, Loader, Outputs, serve

DEFAULT, TUNED = "tvm", "tvm-tuned"

# Samples that decide about a trial: the default, one, lets a hiccup choose the schedule.
_REPEAT = 3
# Trials between two updates of the cost model: few, since there are few altogether.
_TRIALS_A_ROUND = 16


def default(model: str, inputs: Inputs, _outputs: Outputs, threads: int) -> Loaded:
    """TVM's own pipeline. Raises what TVM raises."""
    pool = use_threads(threads)
    executable = relax.build(load(model), for_threads("host", threads))
    call = bound_call(executable, inputs)
    return call, arrays, tvm.__version__, pool_notes(pool, threads)


def tuned(trials: int) -> Loader:
    """A loader that tunes first: minutes."""

    def loader(model: str, inputs: Inputs, _outputs: Outputs, threads: int) -> Loaded:
        # Candidates run in processes of their own, which read this.
        os.environ["TVM_NUM_THREADS"] = str(threads)
        pool = use_threads(threads)
        target = for_threads("host", threads)
        with target, tempfile.TemporaryDirectory(dir=os.path.dirname(model)) as folder:
            mod = tvm.transform.Sequential(
                [
                    relax.transform.DecomposeOpsForInference(),
                    relax.transform.CanonicalizeBindings(),
                    relax.get_pipeline("zero"),
                    relax.transform.AttachAttrLayoutFreeBuffers(),
                ]
            )(load(model))
            cost_model, notes = _cost_model()
            tasks = meta_schedule.relax_integration.extract_tasks(mod, target)
            meta_schedule.relax_integration.tune_relax(
                mod,
                params={},
                target=target,
                work_dir=folder,
                max_trials_global=trials * len(tasks),
                max_trials_per_task=trials,
                num_trials_per_iter=min(_TRIALS_A_ROUND, trials),
                cost_model=cost_model,
                runner=meta_schedule.runner.LocalRunner(
                    evaluator_config=meta_schedule.runner.EvaluatorConfig(
                        number=1, repeat=_REPEAT, min_repeat_ms=20
                    )
                ),
                seed=0,
            )
            mod = tvm.transform.Sequential(
                [
                    relax.transform.MetaScheduleApplyDatabase(folder),
                    relax.transform.SplitLayoutRewritePreproc(),
                    relax.transform.FoldConstant(),
                    *stock.dataflow_lower_passes(target),
                    *stock.finalize_passes(target),
                ]
            )(mod)
            executable = relax.build(mod, target, relax_pipeline=None)
        call = bound_call(executable, inputs)
        notes += [f"{trials} trials for each of {len(tasks)} kernels", *pool_notes(pool, threads)]
        return call, arrays, tvm.__version__, notes

    return loader


def _cost_model() -> tuple[str, list[str]]:
    if importlib.util.find_spec("xgboost") is not None:
        return "xgb", []
    return "random", ["no xgboost is installed, so the search had no cost model"]


def main() -> None:
    name, *trials = sys.argv[1:]
    loaders: dict[str, Loader] = {DEFAULT: default}
    if trials:
        loaders[TUNED] = tuned(int(trials[0]))
    serve(loaders, name)


# MetaSchedule's builders are fresh processes that import this module again.
if __name__ == "__main__":
    main()
