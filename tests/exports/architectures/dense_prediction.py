"""A value for every pixel: segmentation, detection pyramids, depth, text, and optical flow."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import Architecture, N, image


def conv_bn(c_in: int, c_out: int, kernel: int = 3, act: type[nn.Module] = nn.ReLU, **options):
    dilation = options.get("dilation", 1)
    conv = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2 * dilation, bias=False, **options)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out), act())


class BasicBlock(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = conv_bn(c_in, c_out, stride=stride, dilation=dilation)
        self.conv2 = conv_bn(c_out, c_out, act=nn.Identity, dilation=dilation)
        same = stride == 1 and c_in == c_out
        self.shortcut = (
            nn.Identity() if same else conv_bn(c_in, c_out, 1, nn.Identity, stride=stride)
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(self.conv1(x)) + self.shortcut(x))


class Aspp(nn.Module):
    """Dilated convolutions of three rates, and the mean of the image, resized again."""

    def __init__(self, c_in: int, c: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [conv_bn(c_in, c, 1), *(conv_bn(c_in, c, dilation=rate) for rate in (2, 4, 6))]
        )
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv_bn(c_in, c, 1))
        self.project = nn.Sequential(conv_bn(5 * c, c, 1), nn.Dropout(0.5))

    def forward(self, x: Tensor) -> Tensor:
        maps = [branch(x) for branch in self.branches]
        mean = self.pooled(x)
        maps.append(F.interpolate(mean, size=x.shape[-2:], mode="bilinear", align_corners=False))
        return self.project(torch.cat(maps, dim=1))


class DeepLab(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv_bn(3, 6, 7, stride=2), nn.MaxPool2d(3, stride=2, padding=1))
        self.backbone = nn.Sequential(
            BasicBlock(6, 8), BasicBlock(8, 12, stride=2), BasicBlock(12, 16, dilation=2)
        )
        self.head = nn.Sequential(Aspp(16, 6), conv_bn(6, 6), nn.Conv2d(6, 5, 1))

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-2:]
        x = self.head(self.backbone(self.stem(x)))
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


class Pyramid(nn.Module):
    """Feature pyramid as detectors have it: four maps, the last by a pool of stride 2."""

    def __init__(self, widths: tuple[int, ...] = (6, 8, 12), c: int = 8) -> None:
        super().__init__()
        c_in = (3, *widths[:-1])
        self.stages = nn.ModuleList(
            BasicBlock(a, b, stride=2) for a, b in zip(c_in, widths, strict=True)
        )
        self.inner = nn.ModuleList(nn.Conv2d(width, c, 1) for width in widths)
        self.outer = nn.ModuleList(nn.Conv2d(c, c, 3, padding=1) for _ in widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        last = self.inner[-1](maps[-1])
        results = [self.outer[-1](last)]
        for i in reversed(range(len(maps) - 1)):
            lateral = self.inner[i](maps[i])
            last = lateral + F.interpolate(last, size=lateral.shape[-2:], mode="nearest")
            results.insert(0, self.outer[i](last))
        results.append(F.max_pool2d(results[-1], 1, 2, 0))
        return results


class InvertedResidual(nn.Module):
    def __init__(self, c_in: int, c_out: int, stride: int, act: type[nn.Module] = nn.ReLU6) -> None:
        super().__init__()
        wide = 2 * c_in
        self.same = stride == 1 and c_in == c_out
        self.body = nn.Sequential(
            conv_bn(c_in, wide, 1, act),
            conv_bn(wide, wide, 3, act, stride=stride, groups=wide),
            conv_bn(wide, c_out, 1, nn.Identity),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.same else self.body(x)


class ResidualConvUnit(nn.Module):
    def __init__(self, f: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(f, f, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu(self.conv1(F.relu(x)))) + x


class FeatureFusion(nn.Module):
    def __init__(self, f: int) -> None:
        super().__init__()
        self.unit1, self.unit2 = ResidualConvUnit(f), ResidualConvUnit(f)
        self.out = nn.Conv2d(f, f, 1)

    def forward(self, x: Tensor, lateral: Tensor | None = None) -> Tensor:
        if lateral is not None:
            x = x + self.unit1(lateral)
        x = F.interpolate(self.unit2(x), scale_factor=2, mode="bilinear", align_corners=True)
        return self.out(x)


class Midas(nn.Module):
    """Inverse depth: a mobile encoder, fusion by bilinear resizes that align the corners."""

    def __init__(self, f: int = 8) -> None:
        super().__init__()
        widths = (6, 8, 12)
        self.stem = conv_bn(3, 6, act=nn.ReLU6, stride=2)
        self.stages = nn.ModuleList(
            [
                InvertedResidual(6, 6, 1),
                InvertedResidual(6, 8, 2),
                nn.Sequential(InvertedResidual(8, 12, 2), InvertedResidual(12, 12, 1)),
            ]
        )
        self.lateral = nn.ModuleList(nn.Conv2d(w, f, 3, padding=1, bias=False) for w in widths)
        self.fusion = nn.ModuleList(FeatureFusion(f) for _ in widths)
        self.conv1, self.conv2 = nn.Conv2d(f, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.conv3 = nn.Conv2d(4, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x, maps = self.stem(x), []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            x = stage(x)
            maps.append(lateral(x))
        path = self.fusion[2](maps[2])
        path = self.fusion[1](path, maps[1])
        path = self.fusion[0](path, maps[0])
        x = F.relu(self.conv2(self.conv1(path)))
        return F.relu(self.conv3(x)).squeeze(1)


class SqueezeExcite(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, c // 4, 1), nn.ReLU()),
            *(nn.Conv2d(c // 4, c, 1), nn.Hardsigmoid()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x * self.body(x)


class DbHead(nn.Sequential):
    def __init__(self, c: int) -> None:
        q = c // 4
        super().__init__(
            *(nn.Conv2d(c, q, 3, padding=1, bias=False), nn.BatchNorm2d(q), nn.ReLU(True)),
            *(nn.ConvTranspose2d(q, q, 2, 2), nn.BatchNorm2d(q), nn.ReLU(True)),
            *(nn.ConvTranspose2d(q, 1, 2, 2), nn.Sigmoid()),
        )


class TextDetector(nn.Module):
    """PaddleOCR's detector: a mobile backbone, maps enlarged to one size, differentiable binary."""

    def __init__(self, c: int = 16) -> None:
        super().__init__()
        widths = (6, 8, 12, 16)
        self.stem = conv_bn(3, 6, act=nn.Hardswish, stride=2)
        self.stages = nn.ModuleList(
            nn.Sequential(InvertedResidual(a, b, 2, nn.Hardswish), SqueezeExcite(b))
            for a, b in zip((6, *widths[:-1]), widths, strict=True)
        )
        self.inner = nn.ModuleList(nn.Conv2d(w, c, 1, bias=False) for w in widths)
        self.outer = nn.ModuleList(nn.Conv2d(c, c // 4, 3, padding=1, bias=False) for _ in widths)
        self.binarize, self.thresh = DbHead(c), DbHead(c)

    def forward(self, x: Tensor) -> Tensor:
        x, maps = self.stem(x), []
        for stage, inner in zip(self.stages, self.inner, strict=True):
            x = stage(x)
            maps.append(inner(x))
        for i in (2, 1, 0):
            maps[i] = maps[i] + F.interpolate(maps[i + 1], scale_factor=2, mode="nearest")
        parts = [
            F.interpolate(outer(found), scale_factor=2**i, mode="nearest")
            for i, (outer, found) in enumerate(zip(self.outer, maps, strict=True))
        ]
        fused = torch.cat(parts[::-1], dim=1)
        shrunk, threshold = self.binarize(fused), self.thresh(fused)
        binary = torch.reciprocal(1 + torch.exp(-50 * (shrunk - threshold)))
        return torch.cat([shrunk, threshold, binary], dim=1)


def warped(x: Tensor, flow: Tensor) -> Tensor:
    """The image sampled where the flow (n, 2, h, w), in pixels, points to."""
    n, _, h, w = x.shape
    across = torch.linspace(-1.0, 1.0, w, dtype=x.dtype).view(1, 1, 1, w).expand(n, -1, h, -1)
    down = torch.linspace(-1.0, 1.0, h, dtype=x.dtype).view(1, 1, h, 1).expand(n, -1, -1, w)
    scaled = torch.cat([flow[:, 0:1] / ((w - 1.0) / 2.0), flow[:, 1:2] / ((h - 1.0) / 2.0)], dim=1)
    grid = (torch.cat([across, down], 1) + scaled).permute(0, 2, 3, 1)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="border", align_corners=True)


class FlowBlock(nn.Module):
    def __init__(self, c_in: int, c: int) -> None:
        super().__init__()

        def down(a: int, b: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.PReLU(b))

        self.entry = nn.Sequential(down(c_in, c // 2), down(c // 2, c))
        self.body = nn.Sequential(nn.Conv2d(c, c, 3, padding=1), nn.PReLU(c))
        self.last = nn.ConvTranspose2d(c, 5, 4, 2, 1)

    def forward(self, x: Tensor, flow: Tensor | None, scale: int) -> tuple[Tensor, Tensor]:
        x = F.interpolate(x, scale_factor=1.0 / scale, mode="bilinear", align_corners=False)
        if flow is not None:
            flow = F.interpolate(
                flow, scale_factor=1.0 / scale, mode="bilinear", align_corners=False
            )
            x = torch.cat([x, flow / scale], dim=1)
        x = self.entry(x)
        x = self.last(self.body(x) + x)
        x = F.interpolate(x, scale_factor=2 * scale, mode="bilinear", align_corners=False)
        return x[:, :4] * (2 * scale), x[:, 4:5]


class IfNet(nn.Module):
    """Interpolates a frame between two: flows from coarse to fine, both frames warped by them."""

    def __init__(self, c: int = 8) -> None:
        super().__init__()
        self.block0, self.block1 = FlowBlock(6, c), FlowBlock(13 + 4, c)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        flow, mask = self.block0(torch.cat([first, second], 1), None, 2)
        for scale in (1,):
            maps = torch.cat(
                [first, second, warped(first, flow[:, :2]), warped(second, flow[:, 2:4]), mask], 1
            )
            more, change = self.block1(maps, flow, scale)
            flow, mask = flow + more, mask + change
        mask = torch.sigmoid(mask)
        ahead, back = warped(first, flow[:, :2]), warped(second, flow[:, 2:4])
        return ahead * mask + back * (1 - mask)


# The flow is estimated at an eighth of the resolution.
_FRAME = (N, 3, ("h", 8), ("w", 8))
ARCHITECTURES = {
    "DeepLabV3": Architecture(DeepLab, **image(3, (1, 32, 40), (2, 33, 27), (1, 45, 50))),
    "FPN": Architecture(Pyramid, **image(3, (1, 24, 32), (2, 19, 27), (1, 37, 22))),
    # The last ReLU leaves nothing of most random depths.
    "MiDaS": Architecture(Midas, **image(3, (1, 24, 32), (2, 16, 40), (1, 40, 24)), seed=8),
    "OCR detector, DB head": Architecture(
        TextDetector, **image(3, (1, 64, 64), (2, 96, 64), (1, 64, 128))
    ),
    "IFNet": Architecture(
        IfNet,
        (_FRAME, _FRAME),
        tuple({"n": n, "h": h, "w": w} for n, h, w in ((1, 2, 3), (2, 3, 2), (1, 5, 4))),
    ),
}
