"""Upsampling layers of super-resolution networks.

Low-resolution sizes give a picture of about 1280x720 for the light networks (half of that for
CARN), or are square tiles, on which the larger networks are usually run.
"""

from __future__ import annotations

from .spec import LayerSpec
from .workload import Workload, layer_workload

# Low-resolution height and width of a 720p picture, by factor.
_HD = {2: (360, 640), 3: (240, 426), 4: (180, 320)}
# The same for half its height and width.
_HALF_HD = {2: (180, 320), 3: (120, 213)}

_ESPCN = "Shi et al., ESPCN, CVPR 2016: last convolution 3x3 and sub-pixel shuffle"
_FSRCNN = "Dong et al., FSRCNN(56,12,4), ECCV 2016: the deconvolution 9x9"
_EDSR = "Lim et al., EDSR, CVPRW 2017"
_SRGAN = "Ledig et al., SRGAN generator x4, CVPR 2017"
_RRDB = "Wang et al., ESRGAN (RRDBNet x4), ECCVW 2018"
_CARN = "Ahn et al., CARN, ECCV 2018"
_IMDN = "Hui et al., IMDN, ACM MM 2019: last convolution 3x3 and sub-pixel shuffle to RGB"


def _espcn(factor: int) -> Workload:
    spec = LayerSpec("subpixel", 32, 1, 3, *_HD[factor], factor=factor, padding=1)
    return layer_workload(f"espcn-x{factor}/subpixel", _ESPCN, spec)


def _fsrcnn(factor: int) -> Workload:
    spec = LayerSpec(
        "deconv", 56, 1, 9, *_HD[factor], factor=factor, padding=4, output_padding=factor - 1
    )
    return layer_workload(f"fsrcnn-x{factor}/deconv", _FSRCNN, spec)


def _imdn(factor: int) -> Workload:
    spec = LayerSpec("subpixel", 64, 3, 3, *_HD[factor], factor=factor, padding=1)
    return layer_workload(f"imdn-x{factor}/subpixel", _IMDN, spec)


def _edsr(name: str, where: str, channels: int, size: int, factor: int = 2) -> Workload:
    spec = LayerSpec("subpixel", channels, channels, 3, size, size, factor=factor, padding=1)
    return layer_workload(name, f"{_EDSR}, {where}", spec)


def _srgan(name: str, where: str, size: int) -> Workload:
    spec = LayerSpec("subpixel", 64, 64, 3, size, size, factor=2, padding=1, activation="prelu")
    return layer_workload(name, f"{_SRGAN}: {where}, with its PReLU", spec)


def _rrdbnet(name: str, where: str, size: int) -> Workload:
    spec = LayerSpec("nearest", 64, 64, 3, size, size, factor=2, padding=1, activation="leaky_relu")
    return layer_workload(name, f"{_RRDB}: {where}, with its leaky ReLU", spec)


def _carn(name: str, where: str, factor: int, groups: int = 1) -> Workload:
    spec = LayerSpec(
        "subpixel",
        64,
        64,
        3,
        *_HALF_HD[factor],
        factor=factor,
        padding=1,
        groups=groups,
        activation="relu",
        activation_first=True,
    )
    return layer_workload(name, f"{_CARN}: {where}, ReLU before the shuffle", spec)


SUPER_RESOLUTION: tuple[Workload, ...] = (
    *(_espcn(factor) for factor in _HD),
    *(_fsrcnn(factor) for factor in _HD),
    *(_imdn(factor) for factor in (2, 4)),
    _edsr("edsr-x2/subpixel", "baseline x2: tail", 64, 128),
    _edsr("edsr-x3/subpixel", "baseline x3: tail", 64, 96, factor=3),
    _edsr("edsr-x4/subpixel1", "baseline x4: first stage of the tail", 64, 96),
    _edsr("edsr-x4/subpixel2", "baseline x4: second stage of the tail", 64, 192),
    _edsr("edsr-full-x2/subpixel", "256 features, x2: tail", 256, 64),
    _srgan("srgan-x4/subpixel1", "first sub-pixel stage", 64),
    _srgan("srgan-x4/subpixel2", "second sub-pixel stage", 128),
    _rrdbnet("rrdbnet-x4/up1", "first nearest resize and convolution", 128),
    _rrdbnet("rrdbnet-x4/up2", "second nearest resize and convolution", 256),
    _carn("carn-x2/subpixel", "upsampling block x2", 2),
    _carn("carn-x3/subpixel", "upsampling block x3", 3),
    _carn("carn-m-x2/subpixel", "CARN-M, upsampling block x2 in 4 groups", 2, groups=4),
)
