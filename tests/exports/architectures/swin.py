"""SwinIR, light: attention in windows that are padded to, cut out, shifted and masked."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from . import Architecture, image

WINDOW = 4


def windows_of(x: Tensor) -> Tensor:
    """(n, h, w, c) to (n * windows, WINDOW * WINDOW, c)."""
    n, h, w, c = x.shape
    x = x.view(n, h // WINDOW, WINDOW, w // WINDOW, WINDOW, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, WINDOW * WINDOW, c)


def image_of(windows: Tensor, h: int, w: int) -> Tensor:
    """Back to (n, h, w, c)."""
    c = windows.shape[-1]
    x = windows.view(-1, h // WINDOW, w // WINDOW, WINDOW, WINDOW, c)
    return x.permute(0, 1, 3, 2, 4, 5).reshape(-1, h, w, c)


class WindowAttention(nn.Module):
    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads, self.scale = heads, (channels // heads) ** -0.5
        self.bias_table = nn.Parameter(torch.zeros((2 * WINDOW - 1) ** 2, heads))
        place = torch.stack(torch.meshgrid(*[torch.arange(WINDOW)] * 2, indexing="ij")).flatten(1)
        apart = place[:, :, None] - place[:, None, :] + WINDOW - 1
        self.register_buffer("place", apart[0] * (2 * WINDOW - 1) + apart[1])
        self.qkv, self.proj = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        n, length, c = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.heads, c // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        attention = (q * self.scale) @ k.transpose(-2, -1)
        bias = self.bias_table[self.place.view(-1)].view(length, length, -1)
        attention = attention + bias.permute(2, 0, 1).contiguous().unsqueeze(0)
        if mask is not None:
            count = mask.shape[0]
            attention = attention.view(n // count, count, self.heads, length, length)
            attention = attention + mask.unsqueeze(1).unsqueeze(0)
            attention = attention.view(-1, self.heads, length, length)
        x = (attention.softmax(-1) @ v).transpose(1, 2).reshape(n, length, c)
        return self.proj(x)


class SwinBlock(nn.Module):
    def __init__(self, channels: int, shift: int) -> None:
        super().__init__()
        self.shift = shift
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.attention = WindowAttention(channels, 2)
        self.mlp = nn.Sequential(
            nn.Linear(channels, 2 * channels), nn.GELU(), nn.Linear(2 * channels, channels)
        )

    def mask(self, h: int, w: int) -> Tensor:
        """Keeps what comes from opposite borders of the image apart: (windows, 16, 16)."""
        parts = torch.zeros((1, h, w, 1))
        cuts = (slice(0, -WINDOW), slice(-WINDOW, -self.shift), slice(-self.shift, None))
        number = 0
        for rows in cuts:
            for columns in cuts:
                parts[:, rows, columns, :] = number
                number += 1
        found = windows_of(parts).view(-1, WINDOW * WINDOW)
        apart = found.unsqueeze(1) - found.unsqueeze(2)
        return apart.masked_fill(apart != 0, -100.0).masked_fill(apart == 0, 0.0)

    def forward(self, x: Tensor, h: int, w: int) -> Tensor:
        n, _, c = x.shape
        shortcut, x = x, self.norm1(x).view(n, h, w, c)
        if self.shift:
            x = torch.roll(x, shifts=(-self.shift, -self.shift), dims=(1, 2))
        mask = self.mask(h, w).to(x.dtype) if self.shift else None
        x = image_of(self.attention(windows_of(x), mask), h, w)
        if self.shift:
            x = torch.roll(x, shifts=(self.shift, self.shift), dims=(1, 2))
        x = shortcut + x.view(n, h * w, c)
        return x + self.mlp(self.norm2(x))


class SwinIr(nn.Module):
    """One residual group of two blocks, and the light reconstruction by one shuffle."""

    def __init__(self, c: int = 8, factor: int = 2) -> None:
        super().__init__()
        self.factor = factor
        self.register_buffer("mean", torch.tensor([0.4488, 0.4371, 0.4040]).view(1, 3, 1, 1))
        self.first = nn.Conv2d(3, c, 3, padding=1)
        self.blocks = nn.ModuleList([SwinBlock(c, 0), SwinBlock(c, WINDOW // 2)])
        self.group_conv, self.body_conv = (nn.Conv2d(c, c, 3, padding=1) for _ in range(2))
        self.norm = nn.LayerNorm(c)
        self.enlarge = nn.Sequential(
            nn.Conv2d(c, 3 * factor**2, 3, padding=1), nn.PixelShuffle(factor)
        )

    def body(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        y = x.flatten(2).transpose(1, 2)
        entry = y
        for block in self.blocks:
            y = block(y, h, w)
        y = self.group_conv(y.transpose(1, 2).view(n, c, h, w)).flatten(2).transpose(1, 2) + entry
        return self.norm(y).transpose(1, 2).view(n, c, h, w)

    def forward(self, x: Tensor) -> Tensor:
        h, w = x.shape[2:]
        x = F.pad(
            x, (0, (WINDOW - w % WINDOW) % WINDOW, 0, (WINDOW - h % WINDOW) % WINDOW), "reflect"
        )
        x = self.first(x - self.mean)
        x = self.enlarge(self.body_conv(self.body(x)) + x) + self.mean
        return x[:, :, : h * self.factor, : w * self.factor]


ARCHITECTURES = {
    "SwinIR-light": Architecture(SwinIr, **image(3, (1, 12, 14), (2, 8, 8), (1, 11, 21))),
}
