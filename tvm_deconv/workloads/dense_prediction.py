"""Upsampling layers of networks that label every pixel: segmentation, detection, depth, text."""

from __future__ import annotations

from .spec import Activation, LayerSpec
from .workload import Workload, layer_workload

_UNET = "Ronneberger et al., U-Net 572x572, MICCAI 2015: up-convolution 2x2"
_FPN = (
    "after Lin et al., FPN, CVPR 2017: top-down step for a picture of 800x1088, with the 3x3 "
    "convolution directly behind the nearest resize (no lateral addition between them)"
)
_MONODEPTH = "Godard et al., monodepth (VGG, 256x512), CVPR 2017: upconv"
_DBNET = "Liao et al., DBNet 640x640, AAAI 2020: deconvolution 2x2 of the probability head"


def _unet(c_in: int, size: int) -> Workload:
    spec = LayerSpec("deconv", c_in, c_in // 2, 2, size, size, factor=2)
    return layer_workload(f"unet/upconv-{c_in}-{c_in // 2}", _UNET, spec)


def _fpn(name: str, height: int, width: int) -> Workload:
    spec = LayerSpec("nearest", 256, 256, 3, height, width, factor=2, padding=1)
    return layer_workload(name, _FPN, spec)


def _monodepth(level: int, c_in: int, c_out: int, height: int, width: int) -> Workload:
    spec = LayerSpec(
        "nearest", c_in, c_out, 3, height, width, factor=2, padding=1, activation="elu"
    )
    return layer_workload(f"monodepth/upconv{level}", f"{_MONODEPTH}{level}", spec)


def _dbnet(c_out: int, size: int, activation: Activation, note: str) -> Workload:
    spec = LayerSpec("deconv", 64, c_out, 2, size, size, factor=2, activation=activation)
    return layer_workload(f"dbnet/deconv-64-{c_out}", f"{_DBNET}, {note}", spec)


DENSE_PREDICTION: tuple[Workload, ...] = (
    _unet(1024, 28),
    _unet(512, 52),
    _unet(256, 100),
    _unet(128, 196),
    _fpn("fpn/p5-p4", 25, 34),
    _fpn("fpn/p4-p3", 50, 68),
    _monodepth(4, 256, 128, 16, 32),
    _monodepth(2, 64, 32, 64, 128),
    _dbnet(64, 160, "relu", "batch norm folded into the weights"),
    _dbnet(1, 320, "sigmoid", "the last layer"),
)
