"""``bench``: measure against other runtimes, and TVM alone."""

from __future__ import annotations

import argparse

from tvm_deconv.bench import defaults
from tvm_deconv.bench.worker import PEERS
from tvm_deconv.errors import BenchError

from .arguments import ALL_PROCESSORS, Commands, add_command, add_threads, names, natural, positive

_INTERRUPTED = 130


def add_bench(commands: Commands) -> None:
    """The parser of ``bench``."""
    summary = "measure against other runtimes, and TVM alone"
    parser = add_command(commands, "bench", _bench, summary)
    parser.add_argument(
        "--workloads",
        nargs="+",
        metavar="NAME",
        default=defaults.WORKLOADS,
        help="names, patterns such as 'espcn*', the groups layers, networks, design and all, and "
        f"files of ONNX and TFLite (default: {' '.join(defaults.WORKLOADS)})",
    )
    parser.add_argument(
        "--peers",
        type=names,
        metavar="NAME,...",
        default=PEERS,
        help=f"runtimes to compare with, of {', '.join(PEERS)} (default: all; or none); each is "
        "installed once into an environment of its own",
    )
    parser.add_argument(
        "--variants",
        type=names,
        metavar="NAME,...",
        help="contestants of ours beside auto (default: all; or none)",
    )
    add_threads(parser, ALL_PROCESSORS)
    parser.add_argument(
        "--busy",
        type=natural,
        metavar="N",
        default=0,
        help="processes of one thread each that compute beside the measured ones (default: none)",
    )
    parser.add_argument(
        "--profile",
        action="store_true",
        help="time the kernels of ours and of ONNX Runtime, too, and compare those that compute "
        "the same nodes of the model",
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="measure the resident memory of a run, too, of the library that compile makes and of "
        "each peer",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "int8"),
        default="float32",
        help="int8 measures the workloads quantized to 8 bits, ours of float32 beside, and the "
        "peers that can be given such a file (default: %(default)s)",
    )
    parser.add_argument(
        "--tune-baseline",
        action="store_true",
        help="measure TVM tuned by MetaSchedule, too: minutes for each workload",
    )
    parser.add_argument(
        "--trials",
        type=positive,
        metavar="N",
        default=defaults.TRIALS,
        help="trials of MetaSchedule for each kernel (default: %(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=positive,
        metavar="SECONDS",
        default=defaults.LIMIT_S,
        help="time to measure a workload for; everybody has a turn in any case "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--peer-root",
        metavar="DIR",
        default=defaults.PEER_ROOT,
        help="folder of the peers' environments (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        metavar="FILE.json",
        default=defaults.OUT,
        help="result file to write (default: %(default)s)",
    )
    parser.add_argument(
        "--from",
        dest="results",
        metavar="FILE.json",
        help="measure nothing: show the results in this file",
    )
    parser.add_argument("--plot", metavar="FILE.svg", help="draw the results, too: SVG, PNG or PDF")


def _bench(options: argparse.Namespace) -> int:
    from tvm_deconv.bench import figures, plot, run, table
    from tvm_deconv.bench.profile import table as profiles
    from tvm_deconv.plotting import check

    if options.plot:
        check(options.plot)
    if options.results:
        results = figures.read(options.results)
        if options.profile and not profiles.render(results):
            raise BenchError(f"{options.results} has no profile: measure it with --profile")
    else:
        results = run(
            options.workloads,
            peers=options.peers,
            variants=options.variants,
            dtype=options.dtype,
            threads=options.threads,
            busy=options.busy,
            profile=options.profile,
            memory=options.memory,
            tune_baseline=options.tune_baseline,
            trials=options.trials,
            limit_s=options.limit,
            peer_root=options.peer_root,
            out=options.out,
        )
    print("\n\n".join(filter(None, (table.render(results), profiles.render(results)))))
    if options.plot:
        plot.plot(results, options.plot)
    return _INTERRUPTED if results["interrupted"] and not options.results else 0
