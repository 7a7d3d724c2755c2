"""``logs``: which tuning logs there are, whether they are in order, and one of several."""

from __future__ import annotations

import argparse
from pathlib import Path

from tvm_deconv.errors import LogError

from .arguments import Commands, add_command


def add_logs(commands: Commands) -> None:
    """The parser of ``logs``."""
    parser = add_command(commands, "logs", _list, "list, verify and merge tuning logs")
    parser.set_defaults(logs=None)
    actions = parser.add_subparsers(title="actions", metavar="ACTION")

    listing = add_command(actions, "list", _list, "say which logs there are and what they hold")
    listing.add_argument(
        "--logs",
        metavar="DIR",
        help="folder of logs, or of one device's (default: $TVM_DECONV_LOGS or else the user's "
        "own, then those that come with the package)",
    )

    verifying = add_command(actions, "verify", _verify, "check every line of a log")
    verifying.add_argument("path", metavar="PATH", help="folder of logs, or of one device's")

    merging = add_command(
        actions, "merge", _merge, "append what logs of one device hold to another"
    )
    merging.add_argument("sources", nargs="+", metavar="FROM", help="folder of a device's log")
    merging.add_argument("into", metavar="INTO", help="log to append to; may be new")


def _list(options: argparse.Namespace) -> None:
    from tvm_deconv.logs.listing import list_logs
    from tvm_deconv.logs.roots import log_roots

    roots = [_folder(options.logs)] if options.logs else log_roots()
    listed = list_logs(roots)
    for log in listed:
        print(log)
    if not listed:
        print(f"no tuning log in {', '.join(map(str, roots)) or 'any folder'}")


def _verify(options: argparse.Namespace) -> None:
    from tvm_deconv.logs.find import folders_below
    from tvm_deconv.logs.verifying import problems_of

    folders = list(folders_below(_folder(options.path)))
    if not folders:
        raise LogError(f"{options.path} holds no tuning log")
    count = 0
    for folder in folders:
        for problem in problems_of(folder):
            print(problem)
            count += 1
    if count:
        raise LogError(f"{options.path}: {count} problem{'s' if count > 1 else ''}")
    print(f"{options.path}: {len(folders)} log{'s' if len(folders) > 1 else ''} in order")


def _merge(options: argparse.Namespace) -> None:
    from tvm_deconv.logs.merging import merge

    sources = [Path(source) for source in options.sources]
    log, trials = merge(sources, Path(options.into))
    print(f"{log.path}: {trials} trials added")


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise LogError(f"there is no folder {path} with tuning logs")
    return path
