"""Generators of images and sound: GANs, the decoder and the denoiser of diffusion, a vocoder."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import Architecture, H, N, W, image


class Dcgan(nn.Sequential):
    def __init__(self, z: int = 12, f: int = 4) -> None:
        def block(c_in: int, c_out: int, stride: int, padding: int) -> tuple[nn.Module, ...]:
            deconv = nn.ConvTranspose2d(c_in, c_out, 4, stride, padding, bias=False)
            return deconv, nn.BatchNorm2d(c_out), nn.ReLU(True)

        super().__init__(
            *block(z, 4 * f, 1, 0),
            *block(4 * f, 2 * f, 2, 1),
            *block(2 * f, f, 2, 1),
            *(nn.ConvTranspose2d(f, 3, 4, 2, 1, bias=False), nn.Tanh()),
        )


class ModulatedConv(nn.Module):
    """Weights scaled by a style and normed again; ``fused``: for each sample in a group of its own.

    Not fused, the maps are scaled before and behind a convolution with constant weights.
    """

    def __init__(
        self, c_in: int, c_out: int, kernel: int, style: int, fused: bool, up: bool, demod: bool
    ) -> None:
        super().__init__()
        self.fused, self.up, self.demod, self.kernel = fused, up, demod, kernel
        self.weight = nn.Parameter(torch.zeros(c_out, c_in, kernel, kernel))
        self.affine = nn.Linear(style, c_in)
        blur = torch.tensor([1.0, 3.0, 3.0, 1.0])
        self.register_buffer("blur", (blur[:, None] * blur[None] / 16).view(1, 1, 4, 4))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        n, c_in, h, width = x.shape
        style = self.affine(w) + 1
        c_out = self.weight.shape[0]
        scaled = self.weight.unsqueeze(0) * style.view(n, 1, c_in, 1, 1)
        norm = (scaled.square().sum(dim=(2, 3, 4)) + 1e-8).rsqrt()
        if not self.fused:
            x = self._convolve(x * style.view(n, c_in, 1, 1), self.weight, 1)
            return x * norm.view(n, c_out, 1, 1) if self.demod else x
        if self.demod:
            scaled = scaled * norm.view(n, c_out, 1, 1, 1)
        weight = scaled.reshape(n * c_out, c_in, self.kernel, self.kernel)
        x = self._convolve(x.reshape(1, n * c_in, h, width), weight, n)
        return x.reshape(n, c_out, x.shape[2], x.shape[3])

    def _convolve(self, x: Tensor, weight: Tensor, groups: int) -> Tensor:
        if not self.up:
            return F.conv2d(x, weight, padding=self.kernel // 2, groups=groups)
        c_out, c_in = weight.shape[0] // groups, weight.shape[1]
        weight = weight.view(groups, c_out, c_in, self.kernel, self.kernel).transpose(1, 2)
        weight = weight.reshape(groups * c_in, c_out, self.kernel, self.kernel)
        x = F.conv_transpose2d(x, weight, stride=2, groups=groups)
        count = x.shape[1]
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.blur.repeat(count, 1, 1, 1), groups=count)


class StyledConv(nn.Module):
    def __init__(self, c_in: int, c_out: int, style: int, size: int, fused: bool, up: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(c_in, c_out, 3, style, fused, up, demod=True)
        self.register_buffer("noise", torch.linspace(-1, 1, size * size).view(1, 1, size, size))
        self.strength = nn.Parameter(torch.tensor(0.3))
        self.bias = nn.Parameter(torch.zeros(c_out))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        x = self.conv(x, w) + self.noise * self.strength
        return F.leaky_relu(x + self.bias.view(1, -1, 1, 1), 0.2) * math.sqrt(2)


class StyleGan2(nn.Module):
    """From a latent vector to 16x16 pixels, skip connections through resized colours."""

    def __init__(self, fused: bool, z: int = 8, c: int = 8) -> None:
        super().__init__()
        self.mapping = nn.ModuleList(nn.Linear(z, z) for _ in range(3))
        self.constant = nn.Parameter(torch.zeros(1, c, 4, 4))
        sizes = (4, 8, 8, 16, 16)
        self.convs = nn.ModuleList(
            StyledConv(c, c, z, size, fused, up=i % 2 == 1) for i, size in enumerate(sizes)
        )
        self.colours = nn.ModuleList(
            ModulatedConv(c, 3, 1, z, fused, up=False, demod=False) for _ in range(3)
        )

    def forward(self, z: Tensor) -> Tensor:
        w = z * (z.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.mapping:
            w = F.leaky_relu(layer(w), 0.2)
        x = self.convs[0](self.constant.repeat(z.shape[0], 1, 1, 1), w)
        picture = self.colours[0](x, w)
        for i in (1, 2):
            x = self.convs[2 * i](self.convs[2 * i - 1](x, w), w)
            up = F.interpolate(picture, scale_factor=2, mode="bilinear", align_corners=False)
            picture = up + self.colours[i](x, w)
        return picture


def fused_stylegan() -> StyleGan2:
    return StyleGan2(fused=True)


def unfused_stylegan() -> StyleGan2:
    return StyleGan2(fused=False)


def swish_norm(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.GroupNorm(4, channels, eps=1e-6), nn.SiLU())


class ResBlock(nn.Module):
    """``time``: channels of the time embedding that is added between the convolutions."""

    def __init__(self, c_in: int, c_out: int, time: int = 0) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(swish_norm(c_in), nn.Conv2d(c_in, c_out, 3, padding=1))
        self.conv2 = nn.Sequential(swish_norm(c_out), nn.Conv2d(c_out, c_out, 3, padding=1))
        self.time = nn.Linear(time, c_out) if time else None
        self.shortcut = nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        y = self.conv1(x)
        if self.time is not None:
            y = y + self.time(F.silu(time))[:, :, None, None]
        return self.conv2(y) + self.shortcut(x)


class AttentionBlock(nn.Module):
    """Every pixel attends to every other, by products of matrices as in the VAE's own code."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(4, c, eps=1e-6)
        self.q, self.k, self.v, self.out = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        n, c, h, w = y.shape
        q = self.q(y).reshape(n, c, h * w).permute(0, 2, 1)
        k, v = self.k(y).reshape(n, c, h * w), self.v(y).reshape(n, c, h * w)
        weights = F.softmax(torch.bmm(q, k) * c**-0.5, dim=2)
        return x + self.out(torch.bmm(v, weights.permute(0, 2, 1)).reshape(n, c, h, w))


class Upsample(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class VaeDecoder(nn.Sequential):
    def __init__(self, c: int = 8) -> None:
        super().__init__(
            *(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 2 * c, 3, padding=1)),
            *(ResBlock(2 * c, 2 * c), AttentionBlock(2 * c), ResBlock(2 * c, 2 * c)),
            *(ResBlock(2 * c, 2 * c), Upsample(2 * c), ResBlock(2 * c, c), Upsample(c)),
            *(swish_norm(c), nn.Conv2d(c, 3, 3, padding=1)),
        )


class SelfAttention(nn.Module):
    """A transformer block of the denoiser: heads, and PyTorch's own attention."""

    def __init__(self, c: int, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.group, self.norm = nn.GroupNorm(4, c), nn.LayerNorm(c)
        self.qkv, self.out = nn.Linear(c, 3 * c, bias=False), nn.Linear(c, c)

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = self.group(x).permute(0, 2, 3, 1).reshape(n, h * w, c)
        q, k, v = self.qkv(self.norm(y)).chunk(3, dim=-1)
        q, k, v = (t.view(n, -1, self.heads, c // self.heads).transpose(1, 2) for t in (q, k, v))
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(n, -1, c)
        y = y + self.out(mixed)
        return x + y.reshape(n, h, w, c).permute(0, 3, 1, 2).contiguous()


class DiffusionUp(nn.Module):
    """The last two levels of a denoiser: maps, skips of the encoder, and the time step."""

    def __init__(self, c: int = 8) -> None:
        super().__init__()
        self.c = c
        self.embed = nn.Sequential(nn.Linear(c, 4 * c), nn.SiLU(), nn.Linear(4 * c, 4 * c))
        self.deep = ResBlock(2 * c + 2 * c, 2 * c, 4 * c)
        self.attention, self.up = SelfAttention(2 * c), Upsample(2 * c)
        self.shallow = ResBlock(2 * c + c, c, 4 * c)
        self.out = nn.Sequential(swish_norm(c), nn.Conv2d(c, 4, 3, padding=1))

    def forward(self, x: Tensor, deep: Tensor, shallow: Tensor, time: Tensor) -> Tensor:
        half = self.c // 2
        rates = torch.exp(-math.log(10000) * torch.arange(half, dtype=time.dtype) / half)
        angles = 1000 * time[:, None] * rates[None, :]
        embedding = self.embed(torch.cat([torch.sin(angles), torch.cos(angles)], dim=-1))
        x = self.attention(self.deep(torch.cat([x, deep], dim=1), embedding))
        x = self.shallow(torch.cat([self.up(x), shallow], dim=1), embedding)
        return self.out(x)


class HifiBlock(nn.Module):
    def __init__(self, c: int, kernel: int) -> None:
        super().__init__()
        self.dilated = nn.ModuleList(
            nn.Conv1d(c, c, kernel, dilation=d, padding=d * (kernel - 1) // 2) for d in (1, 3, 5)
        )
        self.plain = nn.ModuleList(
            nn.Conv1d(c, c, kernel, padding=(kernel - 1) // 2) for _ in range(3)
        )

    def forward(self, x: Tensor) -> Tensor:
        for dilated, plain in zip(self.dilated, self.plain, strict=True):
            x = x + plain(F.leaky_relu(dilated(F.leaky_relu(x, 0.1)), 0.1))
        return x


class HifiGan(nn.Module):
    """Sound from a mel spectrogram: one-dimensional transposed convolutions."""

    def __init__(self, mels: int = 10, c: int = 16) -> None:
        super().__init__()
        self.entry = nn.Conv1d(mels, c, 7, padding=3)
        plan = ((c, 8, 4), (c // 2, 4, 2))
        self.ups = nn.ModuleList(
            nn.ConvTranspose1d(width, width // 2, k, stride, padding=(k - stride) // 2)
            for width, k, stride in plan
        )
        self.blocks = nn.ModuleList(
            nn.ModuleList(HifiBlock(width // 2, k) for k in (3, 7)) for width, _, _ in plan
        )
        self.exit = nn.Conv1d(c // 4, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.entry(x)
        for up, blocks in zip(self.ups, self.blocks, strict=True):
            x = up(F.leaky_relu(x, 0.1))
            x = sum(block(x) for block in blocks) / len(blocks)
        return torch.tanh(self.exit(F.leaky_relu(x)))


_BATCHES = ({"n": 1}, {"n": 2}, {"n": 3})
ARCHITECTURES = {
    "DCGAN": Architecture(Dcgan, ((N, 12, 1, 1),), _BATCHES),
    "StyleGAN2": Architecture(fused_stylegan, ((N, 8),), _BATCHES),
    "StyleGAN2, not fused": Architecture(unfused_stylegan, ((N, 8),), _BATCHES),
    "VAE decoder": Architecture(VaeDecoder, **image(4, (1, 8, 10), (2, 5, 7), (1, 9, 6))),
    "diffusion, up blocks": Architecture(
        DiffusionUp,
        ((N, 16, H, W), (N, 16, H, W), (N, 8, ("h", 2), ("w", 2)), (N,)),
        tuple({"n": n, "h": h, "w": w} for n, h, w in ((1, 8, 10), (2, 5, 7), (3, 9, 6))),
    ),
    "HiFi-GAN": Architecture(
        HifiGan, ((N, 10, ("t", 1)),), ({"n": 1, "t": 16}, {"n": 2, "t": 7}, {"n": 1, "t": 33})
    ),
}
