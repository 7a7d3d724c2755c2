"""The command ``tvm-deconv``: it parses; the work is in library functions of the same names."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import tvm_deconv
from tvm_deconv.bench import defaults
from tvm_deconv.bench.worker import PEERS
from tvm_deconv.errors import TvmDeconvError

_BAD_INPUT = 2
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0, or 2 for bad input (one line on stderr says why)."""
    options = _parser().parse_args(arguments)
    try:
        return options.command(options) or 0
    except TvmDeconvError as error:
        print(f"tvm-deconv: {error}", file=sys.stderr)
        return _BAD_INPUT


def _explain(options: argparse.Namespace) -> None:
    print(tvm_deconv.explain(options.model, **_schedule_options(options)))


def _compile(options: argparse.Namespace) -> None:
    from tvm_deconv.library import compile_library

    started = time.monotonic()
    compile_library(options.model, options.output, **_schedule_options(options))
    seconds = time.monotonic() - started
    print(f"tvm-deconv: compiled {options.output} in {seconds:.1f} s", file=sys.stderr)


def _schedule_options(options: argparse.Namespace) -> dict[str, Any]:
    """What ``compile`` and ``explain`` share, by the names of the library's arguments."""
    names = ("shapes", "target", "threads", "variant", "winograd")
    return {name: getattr(options, name) for name in names}


def _run(options: argparse.Namespace) -> None:
    tvm_deconv.run(options.library, options.image, options.output, threads=options.threads)


def _bench(options: argparse.Namespace) -> int:
    from tvm_deconv.bench import figures, plot, run, table

    if options.plot:
        plot.check(options.plot)
    if options.results:
        results = figures.read(options.results)
    else:
        results = run(
            options.workloads,
            peers=options.peers,
            variants=options.variants,
            threads=options.threads,
            tune_baseline=options.tune_baseline,
            trials=options.trials,
            limit_s=options.limit,
            peer_root=options.peer_root,
            out=options.out,
        )
    print(table.render(results))
    if options.plot:
        plot.plot(results, options.plot)
    return _INTERRUPTED if results["interrupted"] and not options.results else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tvm-deconv",
        description="Rewrite, compile and run upsampling networks with Apache TVM.",
        epilog="Exit status: 0, or 2 for bad input, with one line on stderr that says why.",
    )
    parser.add_argument("--version", action="version", version=version("tvm-deconv"))
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    summary = "say which layers are rewritten and what computes each convolution, and why"
    explain = _command(commands, "explain", _explain, summary)
    _add_model(explain)
    _add_schedule(explain)

    compiler = _command(commands, "compile", _compile, "compile a network to a shared library")
    _add_model(compiler)
    compiler.add_argument(
        "-o", "--output", required=True, metavar="OUT.so", help="library to write"
    )
    _add_schedule(compiler)

    runner = _command(commands, "run", _run, "run a compiled network on an image")
    runner.add_argument("library", metavar="OUT.so", help="library that compile wrote")
    runner.add_argument("image", metavar="IMAGE", help="image to read, such as a PNG or JPEG")
    runner.add_argument("-o", "--output", required=True, metavar="IMAGE", help="image to write")
    _add_threads(runner, _ALL_PROCESSORS)

    bench = _command(commands, "bench", _bench, "measure against other runtimes, and TVM alone")
    _add_bench(bench)
    return parser


_ALL_PROCESSORS = "threads to use (default: all processors that this process may run on)"


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workloads",
        nargs="+",
        metavar="NAME",
        default=defaults.WORKLOADS,
        help="names, patterns such as 'espcn*', the groups layers, networks, design and all, and "
        f"ONNX files (default: {' '.join(defaults.WORKLOADS)})",
    )
    parser.add_argument(
        "--peers",
        type=_names,
        metavar="NAME,...",
        default=PEERS,
        help=f"runtimes to compare with, of {', '.join(PEERS)} (default: all; or none); each is "
        "installed once into an environment of its own",
    )
    parser.add_argument(
        "--variants",
        type=_names,
        metavar="NAME,...",
        help="contestants of ours beside auto (default: all; or none)",
    )
    _add_threads(parser, _ALL_PROCESSORS)
    parser.add_argument(
        "--tune-baseline",
        action="store_true",
        help="measure TVM tuned by MetaSchedule, too: minutes for each workload",
    )
    parser.add_argument(
        "--trials",
        type=_positive,
        metavar="N",
        default=defaults.TRIALS,
        help="trials of MetaSchedule for each kernel (default: %(default)s)",
    )
    parser.add_argument(
        "--limit",
        type=_positive,
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


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Callable[[argparse.Namespace], int | None],
    summary: str,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=summary, description=f"{summary.capitalize()}.")
    parser.set_defaults(command=command)
    return parser


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="ONNX file")
    parser.add_argument(
        "--shape",
        dest="shapes",
        action=_AddShape,
        type=_shape,
        metavar="INPUT=1,3,64,64",
        help="fix the shape of an input whose dimensions are free; may be repeated",
    )


def _add_schedule(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--target",
        default="host",
        help="host (default), a TVM tag such as raspberry-pi/4b-aarch64, or a JSON target",
    )
    _add_threads(parser, "threads to schedule for (default: all processors of the target)")
    parser.add_argument(
        "--variant",
        default="auto",
        metavar="NAME",
        help="algorithm for every convolution that it can compute; auto (default) takes the one "
        "that is expected to be the fastest; a name that is not known lists all",
    )
    parser.add_argument(
        "--no-winograd",
        dest="winograd",
        action="store_false",
        help="never use Winograd's algorithm, which is fast but rounds more",
    )


def _add_threads(parser: argparse.ArgumentParser, summary: str) -> None:
    parser.add_argument("--threads", type=_positive, metavar="N", help=summary)


class _AddShape(argparse.Action):
    """Collects the values of a repeated --shape in one mapping."""

    def __call__(self, parser, namespace, values, option_string=None):
        shapes = getattr(namespace, self.dest) or {}
        setattr(namespace, self.dest, {**shapes, **values})


def _shape(text: str) -> dict[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form INPUT=1,3,64,64")
    return {name: tuple(_positive(size) for size in sizes.split(","))}


def _names(text: str) -> tuple[str, ...]:
    return () if text == "none" else tuple(text.split(","))


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)
