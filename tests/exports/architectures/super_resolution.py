"""Super-resolution networks of convolutions: sub-pixel, nearest, transposed."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import Architecture, image


def conv(c_in: int, c_out: int, kernel: int = 3, **options) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, **options)


class Espcn(nn.Sequential):
    def __init__(self, factor: int = 3) -> None:
        super().__init__(
            *(conv(1, 16, 5), nn.Tanh(), conv(16, 8), nn.Tanh()),
            *(conv(8, factor**2), nn.PixelShuffle(factor)),
        )


class Fsrcnn(nn.Sequential):
    def __init__(self, d: int = 12, s: int = 4, factor: int = 3) -> None:
        mapped = [layer for _ in range(2) for layer in (conv(s, s), nn.PReLU(s))]
        super().__init__(
            *(conv(1, d, 5), nn.PReLU(d), conv(d, s, 1), nn.PReLU(s), *mapped),
            *(conv(s, d, 1), nn.PReLU(d)),
            nn.ConvTranspose2d(d, 1, 9, stride=factor, padding=4, output_padding=factor - 1),
        )


class MeanShift(nn.Conv2d):
    """A 1x1 convolution that takes the data set's mean colour away, or adds it."""

    def __init__(self, sign: int) -> None:
        super().__init__(3, 3, 1)
        self.weight = nn.Parameter(torch.eye(3).view(3, 3, 1, 1))
        self.bias = nn.Parameter(sign * torch.tensor([0.4488, 0.4371, 0.4040]))


class EdsrBlock(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(features, features), nn.ReLU(True), conv(features, features))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x).mul(0.1)


class Edsr(nn.Module):
    """To a factor of 4 by two shuffles."""

    def __init__(self, f: int = 12) -> None:
        super().__init__()
        self.sub_mean, self.add_mean = MeanShift(-1), MeanShift(1)
        self.head = conv(3, f)
        self.body = nn.Sequential(EdsrBlock(f), EdsrBlock(f), conv(f, f))
        enlarge = (layer for _ in range(2) for layer in (conv(f, 4 * f), nn.PixelShuffle(2)))
        self.tail = nn.Sequential(*enlarge, conv(f, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(self.sub_mean(x))
        return self.add_mean(self.tail(x + self.body(x)))


class CarnBlock(nn.Module):
    """The efficient residual block of CARN-M: grouped, then pointwise."""

    def __init__(self, f: int, groups: int = 4) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(conv(f, f, groups=groups), nn.ReLU(), conv(f, f, groups=groups), nn.ReLU()),
            conv(f, f, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + x)


class Cascade(nn.Module):
    """What came so far is joined behind every block and made narrow again."""

    def __init__(self, blocks: list[nn.Module], f: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.joins = nn.ModuleList(conv((i + 2) * f, f, 1) for i in range(len(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        joined = x
        for block, join in zip(self.blocks, self.joins, strict=True):
            joined = torch.cat([joined, block(x)], dim=1)
            x = F.relu(join(joined))
        return x


class Carn(nn.Module):
    def __init__(self, f: int = 16) -> None:
        super().__init__()
        self.sub_mean, self.add_mean = MeanShift(-1), MeanShift(1)
        self.entry, self.exit = conv(3, f), conv(f, 3)
        self.body = Cascade([Cascade([CarnBlock(f) for _ in range(2)], f) for _ in range(2)], f)
        self.enlarge = nn.Sequential(conv(f, 9 * f, groups=4), nn.ReLU(), nn.PixelShuffle(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self.entry(self.sub_mean(x)))
        return self.add_mean(self.exit(self.enlarge(x)))


class ContrastAttention(nn.Module):
    """Scales of channels from their standard deviation and mean."""

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.excite = nn.Sequential(
            *(conv(channels, channels // reduction, 1), nn.ReLU(True)),
            *(conv(channels // reduction, channels, 1), nn.Sigmoid()),
        )

    def forward(self, x: Tensor) -> Tensor:
        area = x.size(2) * x.size(3)
        mean = x.sum(3, keepdim=True).sum(2, keepdim=True) / area
        variance = (x - mean).pow(2).sum(3, keepdim=True).sum(2, keepdim=True) / area
        return x * self.excite(variance.pow(0.5) + self.pool(x))


class Distillation(nn.Module):
    """A quarter of the channels is kept after each convolution, the rest goes on."""

    def __init__(self, f: int) -> None:
        super().__init__()
        self.kept, self.left = f // 4, f - f // 4
        self.steps = nn.ModuleList([conv(f, f), conv(self.left, f), conv(self.left, f)])
        self.last = conv(self.left, self.kept)
        self.attention = ContrastAttention(4 * self.kept)
        self.join = conv(4 * self.kept, f, 1)

    def forward(self, x: Tensor) -> Tensor:
        rest, parts = x, []
        for step in self.steps:
            out = F.leaky_relu(step(rest), 0.05)
            part, rest = torch.split(out, (self.kept, self.left), dim=1)
            parts.append(part)
        parts.append(self.last(rest))
        return self.join(self.attention(torch.cat(parts, dim=1))) + x


class Imdn(nn.Module):
    def __init__(self, f: int = 16) -> None:
        super().__init__()
        self.entry = conv(3, f)
        self.blocks = nn.ModuleList(Distillation(f) for _ in range(2))
        self.join = nn.Sequential(conv(2 * f, f, 1), nn.LeakyReLU(0.05))
        self.smooth = conv(f, f)
        self.enlarge = nn.Sequential(conv(f, 12), nn.PixelShuffle(2))

    def forward(self, x: Tensor) -> Tensor:
        entry = out = self.entry(x)
        parts = []
        for block in self.blocks:
            out = block(out)
            parts.append(out)
        return self.enlarge(self.smooth(self.join(torch.cat(parts, dim=1))) + entry)


class DenseBlock(nn.Module):
    def __init__(self, f: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(f + i * growth, growth if i < 4 else f) for i in range(5))

    def forward(self, x: Tensor) -> Tensor:
        maps = [x]
        for layer in self.convs[:4]:
            maps.append(F.leaky_relu(layer(torch.cat(maps, 1)), 0.2, inplace=True))
        return self.convs[4](torch.cat(maps, 1)) * 0.2 + x


class Rrdb(nn.Module):
    def __init__(self, f: int, growth: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(*(DenseBlock(f, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.dense(x) * 0.2 + x


class RrdbNet(nn.Module):
    """The one for a factor of 2, in front of which pixels are unshuffled."""

    def __init__(self, f: int = 8, growth: int = 4) -> None:
        super().__init__()
        self.first, self.body, self.after = conv(12, f), Rrdb(f, growth), conv(f, f)
        self.up1, self.up2, self.high, self.last = conv(f, f), conv(f, f), conv(f, f), conv(f, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(F.pixel_unshuffle(x, 2))
        x = x + self.after(self.body(x))
        for up in (self.up1, self.up2):
            x = F.leaky_relu(up(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.last(F.leaky_relu(self.high(x), 0.2))


class Srvgg(nn.Module):
    """Real-ESRGAN's compact network: only the difference to a nearest resize is computed."""

    def __init__(self, f: int = 12, factor: int = 4) -> None:
        super().__init__()
        self.factor = factor
        self.body = nn.Sequential(
            *(conv(3, f), nn.PReLU(f), conv(f, f), nn.PReLU(f), conv(f, f), nn.PReLU(f)),
            *(conv(f, 3 * factor**2), nn.PixelShuffle(factor)),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + F.interpolate(x, scale_factor=self.factor, mode="nearest")


ARCHITECTURES = {
    "ESPCN": Architecture(Espcn, **image(1, (1, 12, 16), (2, 9, 7), (3, 5, 21))),
    "FSRCNN": Architecture(Fsrcnn, **image(1, (1, 12, 16), (2, 9, 7), (3, 5, 21))),
    "EDSR": Architecture(Edsr, **image(3, (1, 12, 16), (2, 9, 7), (3, 5, 21))),
    "CARN": Architecture(Carn, **image(3, (1, 12, 16), (2, 9, 7), (3, 5, 21))),
    "IMDN": Architecture(Imdn, **image(3, (1, 12, 16), (2, 9, 7), (3, 5, 21))),
    "RRDBNet": Architecture(RrdbNet, **image(3, (1, 12, 16), (2, 18, 14), (3, 6, 22))),
    "SRVGG": Architecture(Srvgg, **image(3, (1, 12, 16), (2, 9, 7), (3, 5, 21))),
}
