"""From image to image: style transfer, CycleGAN, and U-Nets with three kinds of upsampling."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import Architecture, image


class ReflectConv(nn.Sequential):
    def __init__(self, c_in: int, c_out: int, kernel: int, stride: int = 1) -> None:
        super().__init__(nn.ReflectionPad2d(kernel // 2), nn.Conv2d(c_in, c_out, kernel, stride))


class StyleBlock(nn.Module):
    def __init__(self, f: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = ReflectConv(f, f, 3), nn.InstanceNorm2d(f, affine=True)
        self.conv2, self.norm2 = ReflectConv(f, f, 3), nn.InstanceNorm2d(f, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))) + x


class ResizeConv(nn.Module):
    """A nearest resize, reflection padding, a convolution."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.conv = ReflectConv(c_in, c_out, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class StyleTransfer(nn.Sequential):
    def __init__(self, f: int = 4) -> None:
        def normed(layer: nn.Module, channels: int) -> tuple[nn.Module, ...]:
            return layer, nn.InstanceNorm2d(channels, affine=True), nn.ReLU()

        super().__init__(
            *normed(ReflectConv(3, f, 9), f),
            *normed(ReflectConv(f, 2 * f, 3, 2), 2 * f),
            *normed(ReflectConv(2 * f, 4 * f, 3, 2), 4 * f),
            *(StyleBlock(4 * f) for _ in range(2)),
            *normed(ResizeConv(4 * f, 2 * f), 2 * f),
            *normed(ResizeConv(2 * f, f), f),
            ReflectConv(f, 3, 9),
        )


class CycleBlock(nn.Module):
    def __init__(self, f: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(f, f, 3), nn.InstanceNorm2d(f), nn.ReLU(True)),
            *(nn.ReflectionPad2d(1), nn.Conv2d(f, f, 3), nn.InstanceNorm2d(f)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class CycleGan(nn.Sequential):
    def __init__(self, f: int = 4) -> None:
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, f, 7), nn.InstanceNorm2d(f), nn.ReLU(True)]
        for c in (f, 2 * f):
            layers += [nn.Conv2d(c, 2 * c, 3, 2, 1), nn.InstanceNorm2d(2 * c), nn.ReLU(True)]
        layers += [CycleBlock(4 * f) for _ in range(2)]
        for c in (4 * f, 2 * f):
            deconv = nn.ConvTranspose2d(c, c // 2, 3, 2, padding=1, output_padding=1)
            layers += [deconv, nn.InstanceNorm2d(c // 2), nn.ReLU(True)]
        super().__init__(*layers, nn.ReflectionPad2d(3), nn.Conv2d(f, 3, 7), nn.Tanh())


class DoubleConv(nn.Sequential):
    def __init__(self, c_in: int, c_out: int) -> None:
        layers: list[nn.Module] = []
        for c in (c_in, c_out):
            layers += [nn.Conv2d(c, c_out, 3, padding=1, bias=False), nn.BatchNorm2d(c_out)]
            layers += [nn.ReLU(inplace=True)]
        super().__init__(*layers)


class Up(nn.Module):
    """Enlarges to the size of the skip connection, odd sizes too, each kind as it is usual."""

    def __init__(self, kind: str, c_in: int, c_skip: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "transposed":
            self.up, joined = nn.ConvTranspose2d(c_in, c_in // 2, 2, stride=2), c_in // 2 + c_skip
        else:
            self.up, joined = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), 0
            joined = c_in + c_skip
        self.conv = DoubleConv(joined, c_skip)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        if self.kind == "nearest":
            x = F.interpolate(x, size=skip.shape[2:], mode="nearest")
        else:
            x = self.up(x)
            dy, dx = skip.size(2) - x.size(2), skip.size(3) - x.size(3)
            x = F.pad(x, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([skip, x], dim=1))


class UNet(nn.Module):
    def __init__(self, kind: str, f: int = 4) -> None:
        super().__init__()
        self.entry = DoubleConv(3, f)
        self.down = nn.ModuleList(
            nn.Sequential(nn.MaxPool2d(2), DoubleConv(c, 2 * c)) for c in (f, 2 * f)
        )
        self.up = nn.ModuleList(Up(kind, 2 * c, c) for c in (2 * f, f))
        self.exit = nn.Conv2d(f, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        skips = []
        for down in self.down:
            skips.append(x)
            x = down(x)
        for up in self.up:
            x = up(x, skips.pop())
        return self.exit(x)


def transposed_unet() -> UNet:
    return UNet("transposed")


def nearest_unet() -> UNet:
    return UNet("nearest")


def bilinear_unet() -> UNet:
    return UNet("bilinear")


_ODD = image(3, (1, 20, 24), (2, 19, 23), (1, 13, 30))
ARCHITECTURES = {
    "style transfer": Architecture(
        StyleTransfer, **image(3, (1, 20, 24), (2, 19, 17), (1, 29, 22))
    ),
    "CycleGAN": Architecture(CycleGan, **image(3, (1, 20, 24), (2, 19, 17), (1, 29, 22))),
    "U-Net, transposed": Architecture(transposed_unet, **_ODD),
    "U-Net, nearest": Architecture(nearest_unet, **_ODD),
    "U-Net, bilinear": Architecture(bilinear_unet, **_ODD),
}
