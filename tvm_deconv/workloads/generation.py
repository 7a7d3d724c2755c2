"""Upsampling layers of networks that make pictures: GANs, style transfer, latent diffusion."""

from __future__ import annotations

from .spec import Activation, LayerSpec
from .workload import Workload, layer_workload

_DCGAN = (
    "Radford et al., DCGAN generator 64x64, ICLR 2016: deconvolution with kernel 4 (its Torch "
    "version), batch norm folded into the weights"
)
_PIX2PIX = (
    "Isola et al., pix2pix U-Net 256x256, CVPR 2017: decoder deconvolution behind the skip "
    "connection, batch norm folded into the weights"
)
_CYCLEGAN = (
    "Zhu et al., CycleGAN ResNet generator 256x256, ICCV 2017: deconvolution; instance norm "
    "follows, so no activation is part of the layer"
)
_JOHNSON = (
    "Johnson et al., fast style transfer 256x256, ECCV 2016: deconvolution of stride 1/2, batch "
    "norm folded into the weights"
)
_ODENA = (
    "Odena et al., Deconvolution and Checkerboard Artifacts, Distill 2016: nearest resize, "
    "reflection padding and convolution in place of fast style transfer's deconvolution; instance "
    "norm follows, so no activation is part of the layer"
)
_VAE = (
    "Rombach et al., latent diffusion (Stable Diffusion VAE decoder, factor 8), CVPR 2022: "
    "upsampling block"
)
_STYLEGAN2 = (
    "Karras et al., StyleGAN2 (config E and F), CVPR 2020: upsampling deconvolution for one style, "
    "so with constant weights and without noise; the blur follows"
)


def _dcgan(c_in: int, c_out: int, size: int, activation: Activation = "relu") -> Workload:
    spec = LayerSpec(
        "deconv", c_in, c_out, 4, size, size, factor=2, padding=1, activation=activation
    )
    return layer_workload(f"dcgan/deconv-{c_in}-{c_out}", _DCGAN, spec)


def _pix2pix(c_in: int, c_out: int, size: int, activation: Activation = "relu") -> Workload:
    spec = LayerSpec(
        "deconv", c_in, c_out, 4, size, size, factor=2, padding=1, activation=activation
    )
    return layer_workload(f"pix2pix/deconv-{c_in}-{c_out}", _PIX2PIX, spec)


def _thirds(
    name: str, origin: str, c_in: int, c_out: int, size: int, activation: Activation | None = None
) -> Workload:
    """Deconvolution 3x3 that doubles the size exactly: padding 1, output padding 1."""
    spec = LayerSpec(
        "deconv",
        c_in,
        c_out,
        3,
        size,
        size,
        factor=2,
        padding=1,
        output_padding=1,
        activation=activation,
    )
    return layer_workload(f"{name}/deconv-{c_in}-{c_out}", origin, spec)


def _odena(c_in: int, c_out: int, size: int) -> Workload:
    spec = LayerSpec(
        "nearest", c_in, c_out, 3, size, size, factor=2, padding=1, padding_mode="reflect"
    )
    return layer_workload(f"style-transfer/nearest-{c_in}-{c_out}", _ODENA, spec)


def _vae(picture: int) -> tuple[Workload, ...]:
    def block(number: int, channels: int, size: int) -> Workload:
        spec = LayerSpec("nearest", channels, channels, 3, size, size, factor=2, padding=1)
        origin = f"{_VAE} {number} of 3, picture {picture}x{picture}"
        return layer_workload(f"vae-decoder-{picture}/up{number}", origin, spec)

    latent = picture // 8
    return block(1, 512, latent), block(2, 512, 2 * latent), block(3, 256, 4 * latent)


def _stylegan2(c_in: int, c_out: int, size: int) -> Workload:
    spec = LayerSpec("deconv", c_in, c_out, 3, size, size, factor=2, bias=False)
    return layer_workload(f"stylegan2/up-{2 * size}", _STYLEGAN2, spec)


GENERATION: tuple[Workload, ...] = (
    _dcgan(1024, 512, 4),
    _dcgan(512, 256, 8),
    _dcgan(256, 128, 16),
    _dcgan(128, 3, 32, "tanh"),
    _pix2pix(1024, 256, 16),
    _pix2pix(512, 128, 32),
    _pix2pix(256, 64, 64),
    _pix2pix(128, 3, 128, "tanh"),
    _thirds("cyclegan", _CYCLEGAN, 256, 128, 64),
    _thirds("cyclegan", _CYCLEGAN, 128, 64, 128),
    _thirds("style-transfer", _JOHNSON, 128, 64, 64, "relu"),
    _thirds("style-transfer", _JOHNSON, 64, 32, 128, "relu"),
    _odena(128, 64, 64),
    _odena(64, 32, 128),
    *_vae(256),
    *_vae(512),
    _stylegan2(512, 512, 32),
    _stylegan2(512, 256, 64),
    _stylegan2(256, 128, 128),
)
