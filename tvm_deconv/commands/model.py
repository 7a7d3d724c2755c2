"""``model``: time, energy, bytes and arithmetic of a network on a device, by the roofline."""

from __future__ import annotations

import argparse

from tvm_deconv.errors import DeviceFileError

from .arguments import Commands, add_command, add_model

_ALGORITHMS = ("ours", "revd2", "tdc", "revd", "stdd", "strd")


def add_time_energy_model(commands: Commands) -> None:
    """The parser of ``model``."""
    summary = "estimate time and energy of a network before and after the rewrite"
    parser = add_command(commands, "model", _model, summary)
    add_model(parser)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "--device",
        dest="devices",
        action="append",
        metavar="NAME",
        help="device of the package, or a file that calibrate wrote; several are compared; a name "
        "that is not known lists all",
    )
    which.add_argument(
        "--compare", action="store_true", help="compare all devices that come with the package"
    )
    parser.add_argument(
        "--algorithm",
        choices=_ALGORITHMS,
        default="ours",
        help="what computes transposed convolutions: one of the paper's algorithms as it counts "
        "them, or our kernels, which leave out the taps that a phase lacks (default: %(default)s)",
    )
    parser.add_argument(
        "--plot", metavar="FILE.svg", help="draw the rooflines, too: SVG, PNG or PDF"
    )


def _model(options: argparse.Namespace) -> None:
    from tvm_deconv.model.devices import load_device, shipped
    from tvm_deconv.model.network import read_network
    from tvm_deconv.model.plot import plot
    from tvm_deconv.model.report import ModelReport
    from tvm_deconv.plotting import check

    names = shipped() if options.compare else options.devices
    if len(set(names)) < len(names):
        raise DeviceFileError(f"a device is given twice: {', '.join(names)}")
    devices = tuple(load_device(name) for name in names)
    if options.plot:
        check(options.plot)
    network = read_network(options.model, options.shapes, algorithm=options.algorithm)
    report = ModelReport(network, devices)
    print(report)
    if options.plot:
        plot(report, options.plot)
