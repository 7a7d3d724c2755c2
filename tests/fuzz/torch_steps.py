"""One function a kind of step of a PyTorch module: it draws the arguments and lets the net grow."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from .graph import NodeRefused
from .onnx_nodes.convolutions import CHANNELS
from .torch_net import Net

_CONV = {3: nn.Conv1d, 4: nn.Conv2d, 5: nn.Conv3d}
_TRANSPOSED = {3: nn.ConvTranspose1d, 4: nn.ConvTranspose2d, 5: nn.ConvTranspose3d}
_NORM = {3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
_LINEAR = {3: "linear", 4: "bilinear", 5: "trilinear"}


def conv(net: Net, x: int, channels: int | None = None) -> int:
    """A convolution of any stride, padding and padding mode."""
    shape = _image(net, x)
    groups = _groups(net, shape[1])
    k = net.draw.pick((3, 1, 2, 5, 4, 7))
    outputs = channels or groups * net.draw.pick((1, 2, 3, 4, 8, 16))
    arguments: dict[str, Any] = {"padding": net.draw.pick((k // 2, 0, 1, 2))}
    if net.draw.chance(0.2):
        arguments["stride"] = net.draw.pick((2, 3))
    elif net.draw.chance(0.15):
        arguments["padding"] = net.draw.pick(("same", "valid"))
    if net.draw.chance(0.15):
        arguments["dilation"] = net.draw.pick((2, 3))
    if net.draw.chance(0.2):
        arguments["padding_mode"] = net.draw.pick(("reflect", "replicate", "circular"))
    if groups > 1 and outputs % groups == 0:
        arguments["groups"] = groups
    if net.draw.chance(0.3):
        arguments["bias"] = False
    return _part(net, x, _CONV[len(shape)], shape[1], outputs, k, **arguments)


def conv_transpose(net: Net, x: int) -> int:
    """A transposed convolution with any arguments."""
    shape = _image(net, x)
    groups = _groups(net, shape[1])
    k, stride = net.draw.pick((4, 3, 2, 5, 1, 6, 9)), net.draw.pick((2, 1, 3, 4))
    arguments: dict[str, Any] = {"stride": stride, "padding": net.draw.integer(0, k + 1)}
    if net.draw.chance(0.3):
        arguments["output_padding"] = net.draw.below(stride)
    if net.draw.chance(0.2):
        arguments["dilation"] = net.draw.pick((2, 3))
    if groups > 1:
        arguments["groups"] = groups
    outputs = groups * net.draw.pick((1, 2, 3, 4, 8))
    return _part(net, x, _TRANSPOSED[len(shape)], shape[1], outputs, k, **arguments)


def pixel_shuffle(net: Net, x: int) -> int:
    """nn.PixelShuffle, or its views, in the right and in a wrong order."""
    shape = _image(net, x, 4)
    r = net.draw.pick([r for r in (2, 3, 4, 8) if shape[1] % (r * r) == 0] or [0])
    if not r:
        raise NodeRefused("no factor fits")
    if net.draw.chance(0.6):
        return _part(net, x, nn.PixelShuffle, r)
    order = net.draw.pick(((0, 1, 4, 2, 5, 3), (0, 1, 4, 3, 5, 2), (0, 1, 5, 2, 4, 3)))

    def views(v: torch.Tensor) -> torch.Tensor:
        n, c, h, w = v.shape
        moved = v.view(n, c // (r * r), r, r, h, w).permute(order)
        return moved.reshape(n, c // (r * r), moved.shape[2] * moved.shape[3], -1)

    return net.add(f"view(n, c/{r * r}, {r}, {r}, h, w).permute{order}.reshape", views, x)


def pixel_unshuffle(net: Net, x: int) -> int:
    _image(net, x, 4)
    return _part(net, x, nn.PixelUnshuffle, net.draw.pick((2, 3, 4)))


def interpolate(net: Net, x: int) -> int:
    """F.interpolate by any factor or to any size."""
    shape = _image(net, x)
    modes = ["nearest", _LINEAR[len(shape)], "nearest-exact", "area"]
    arguments: dict[str, Any] = {"mode": net.draw.pick([*modes, "bicubic"], [5, 3, 1, 0.5, 1])}
    if net.draw.chance(0.65):
        factors = (2.0, 3.0, 4.0, 1.5, 0.5, 0.75, 2.5, 0.6, 1.3)
        one = net.draw.pick(factors)
        several = [net.draw.pick(factors) for _ in shape[2:]] if net.draw.chance(0.2) else one
        arguments["scale_factor"] = several
        if net.draw.chance(0.15):
            arguments["recompute_scale_factor"] = True
    else:
        size = [max(1, int(n * net.draw.pick((2.0, 1.5, 0.5, 3.0)))) for n in shape[2:]]
        size[-1] += net.draw.below(3)
        arguments["size"] = size
    if arguments["mode"] in (*_LINEAR.values(), "bicubic"):
        arguments["align_corners"] = net.draw.pick((False, True))
        if net.draw.chance(0.1):
            arguments["antialias"] = True
    words = ", ".join(f"{k}={v!r}" for k, v in arguments.items())
    return net.add(f"interpolate[{words}]", lambda v: F.interpolate(v, **arguments), x)


def repeated(net: Net, x: int) -> int:
    """Nearest by repeating, and what looks like it."""
    _image(net, x, 4)
    r = net.draw.pick((2, 3))
    if net.draw.chance(0.5):
        return net.add(
            f"repeat_interleave({r}) of both axes",
            lambda v: v.repeat_interleave(r, 2).repeat_interleave(r, 3),
            x,
        )
    if net.draw.chance(0.3):
        return net.add(f"repeat(1, 1, {r}, {r})", lambda v: v.repeat(1, 1, r, r), x)

    def expanded(v: torch.Tensor) -> torch.Tensor:
        n, c, h, w = v.shape
        wide = v[:, :, :, None, :, None].expand(n, c, h, r, w, r)
        return wide.reshape(n, c, h * r, w * r)

    return net.add(f"expand by {r} and reshape", expanded, x)


def pad(net: Net, x: int) -> int:
    shape = _image(net, x)
    mode = net.draw.pick(("reflect", "constant", "replicate", "circular"))
    low = -1 if net.draw.chance(0.2) else 0
    widths = [net.draw.integer(0, 3) + low for _ in range(2 * len(shape[2:]))]
    value = net.draw.pick((0.0, 1.5)) if mode == "constant" else None
    return net.add(
        f"pad[{widths}, {mode}, {value}]", lambda v: F.pad(v, widths, mode=mode, value=value), x
    )


_ACTIVATIONS: tuple[nn.Module, ...] = (
    nn.ReLU(),
    nn.LeakyReLU(0.2),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.SiLU(),
    nn.ELU(0.5),
    nn.SELU(),
    nn.CELU(1.5),
    nn.Mish(),
    nn.Hardswish(),
    nn.Hardsigmoid(),
    nn.Hardtanh(-0.5, 1.5),
    nn.ReLU6(),
    nn.Softplus(2.0),
    nn.Softplus(),
    nn.LogSigmoid(),
    nn.Softsign(),
    nn.Tanhshrink(),
    nn.Softshrink(0.3),
    nn.Hardshrink(0.3),
    nn.Threshold(0.1, 0.1),
    nn.GLU(1),
    nn.Softmax(1),
    nn.LogSoftmax(-1),
)


def activation(net: Net, x: int) -> int:
    """Any of PyTorch's, clamp and PReLU."""
    way = net.draw.pick(("module", "prelu", "clamp"), [8, 2, 1])
    shape = net.shape(x)
    if way == "prelu":
        slopes = net.draw.pick((1, shape[1] if len(shape) > 1 else 1))
        return _part(net, x, nn.PReLU, slopes)
    if way == "clamp":
        low, high = net.draw.pick((-0.5, None)), net.draw.pick((1.0, None))
        return net.add(f"clamp[{low}, {high}]", lambda v: torch.clamp(v, low, high), x)
    module = net.draw.pick(_ACTIVATIONS)
    return net.add(repr(module), module.forward, x)


def constant(net: Net, x: int) -> int:
    """A parameter per channel, for all, or per column, by an operator."""
    shape = net.shape(x)
    channels = shape[1] if len(shape) > 1 else 1
    ones = (1,) * max(0, len(shape) - 2)
    size = net.draw.pick(((channels, *ones), (1, channels, *ones), (), shape[-1:]), [6, 2, 1, 1])
    name = net.draw.pick(("add", "mul", "sub", "div", "maximum", "pow"), [5, 4, 2, 2, 1, 0.3])
    value = net.constant(*size, positive=name in ("div", "pow"))
    function = getattr(torch, name)
    if name == "pow":
        return net.add(f"pow(2) * {list(size)}", lambda v: torch.pow(v, 2) * value, x)
    return net.add(f"{name} of a constant {list(size)}", lambda v: function(v, value), x)


def norm(net: Net, x: int) -> int:
    shape = _image(net, x)
    way = net.draw.pick(("batch", "instance", "group", "layer"), [5, 2, 2, 1])
    if way == "batch":
        return _part(net, x, _NORM[len(shape)], shape[1])
    if way == "group":
        groups = net.draw.pick([n for n in (1, 2, 3, 4) if shape[1] % n == 0])
        return _part(net, x, nn.GroupNorm, groups, shape[1])
    if way == "layer":
        return _part(net, x, nn.LayerNorm, shape[-1])
    if len(shape) != 4:
        raise NodeRefused("no image")
    return _part(net, x, nn.InstanceNorm2d, shape[1], affine=net.draw.chance(0.5))


def joined(net: Net, x: int) -> int:
    """With another value: a sum, a product, or side by side."""
    others = [i for i in range(len(net.values)) if len(net.shape(i)) == len(net.shape(x))]
    other = others[-1 - net.draw.below(len(others))]
    way = net.draw.pick(("add", "cat", "mul", "sub"), [4, 3, 1, 1])
    if way == "cat":
        axis = net.draw.pick((1, -1), [5, 1])
        return net.add(f"cat[{axis}]", lambda a, b: torch.cat([a, b], axis), x, other)
    return net.add(way, getattr(torch, way), x, other)


def pool(net: Net, x: int) -> int:
    _image(net, x, 4)
    way = net.draw.pick(("max", "avg", "adaptive", "adaptive max"), [3, 3, 2, 1])
    if way.startswith("adaptive"):
        size = net.draw.pick((1, 2, (3, 2), (None, 1)))
        kind = nn.AdaptiveAvgPool2d if way == "adaptive" else nn.AdaptiveMaxPool2d
        return _part(net, x, kind, size)
    k = net.draw.pick((2, 3))
    arguments: dict[str, Any] = {"stride": net.draw.pick((2, 1, 3)), "padding": net.draw.below(2)}
    if net.draw.chance(0.3):
        arguments["ceil_mode"] = True
    if way == "max":
        if net.draw.chance(0.2):
            arguments["dilation"] = 2
        return _part(net, x, nn.MaxPool2d, k, **arguments)
    if net.draw.chance(0.3):
        arguments["count_include_pad"] = False
    if net.draw.chance(0.1):
        arguments["divisor_override"] = 3
    return _part(net, x, nn.AvgPool2d, k, **arguments)


def grid_sample(net: Net, x: int) -> int:
    shape = _image(net, x, 4)
    h, w = net.draw.pick(((3, 3), (5, 4), (1, 7)))
    grid = net.constant(shape[0], h, w, 2)
    arguments = {
        "mode": net.draw.pick(("bilinear", "nearest", "bicubic")),
        "padding_mode": net.draw.pick(("zeros", "border", "reflection")),
        "align_corners": net.draw.chance(0.5),
    }
    words = f"grid_sample[{h}x{w}, {arguments}]"
    return net.add(words, lambda v: F.grid_sample(v, grid, **arguments), x)


def moved(net: Net, x: int) -> int:
    """Views, slices, flips and the like."""
    shape = net.shape(x)
    if len(shape) < 3:
        raise NodeRefused("few axes")
    c = shape[1]
    ways: list[tuple[str, Any]] = [
        ("[..., 1:]", lambda v: v[..., 1:]),
        ("[..., ::2]", lambda v: v[..., ::2]),
        ("flip(-1)", lambda v: v.flip(-1)),
        ("roll(1, 2)", lambda v: v.roll(1, 2)),
        ("transpose(1, 2)", lambda v: v.transpose(1, 2)),
        ("flatten(2)", lambda v: v.flatten(2)),
        ("unsqueeze(1)", lambda v: v.unsqueeze(1)),
        ("squeeze()", lambda v: v.squeeze()),
        ("chunk(2, 1)[1]", lambda v: v.chunk(2, 1)[1]),
        (f"[:, [{c - 1}, 0]]", lambda v: v[:, [c - 1, 0]]),
        ("narrow(2, 0, 2)", lambda v: v.narrow(2, 0, 2)),
        ("tril()", lambda v: v.tril()),
        ("clone().contiguous()", lambda v: v.clone().contiguous()),
    ]
    text, function = net.draw.pick(ways)
    return net.add(text, function, x)


def reduced(net: Net, x: int) -> int:
    """Sums and the like along axes."""
    rank = len(net.shape(x))
    if rank < 2:
        raise NodeRefused("few axes")
    axes = net.draw.some(range(rank), 0.4) or [rank - 1]
    keep = net.draw.chance(0.6)
    name = net.draw.pick(("mean", "sum", "amax", "amin", "var", "std", "norm"))
    words = f"{name}[{axes}, keepdim={keep}]"
    if name == "norm":
        return net.add(words, lambda v: torch.linalg.vector_norm(v, 2, axes, keep), x)
    return net.add(words, lambda v: getattr(torch, name)(v, axes, keepdim=keep), x)


def product(net: Net, x: int) -> int:
    """Linear layers, and pixels that attend to each other."""
    shape = net.shape(x)
    if len(shape) == 4 and net.draw.chance(0.3):

        def attend(v: torch.Tensor) -> torch.Tensor:
            flat = v.flatten(2).transpose(1, 2)
            return F.scaled_dot_product_attention(flat, flat, flat).transpose(1, 2)

        return net.add("self attention", attend, x)
    return _part(net, x, nn.Linear, shape[-1], net.draw.pick((4, 1, 7)), bias=net.draw.chance(0.7))


def _part(net: Net, x: int, kind: type[nn.Module], *arguments: Any, **named: Any) -> int:
    """A step by a module with numbers."""
    words = ", ".join([*map(repr, arguments), *(f"{k}={v!r}" for k, v in named.items())])
    try:
        part = net.module(kind(*arguments, **named))
    except (ValueError, RuntimeError) as error:
        raise NodeRefused(str(error)) from error
    return net.add(f"nn.{kind.__name__}[{words}]", part, x)


def _image(net: Net, x: int, rank: int | None = None) -> tuple[int, ...]:
    shape = net.shape(x)
    if len(shape) not in ((rank,) if rank else (3, 4, 5)):
        raise NodeRefused("no image")
    return shape


def _groups(net: Net, channels: int) -> int:
    divisors = [n for n in range(2, channels + 1) if channels % n == 0]
    return net.draw.pick(divisors) if divisors and net.draw.chance(0.2) else 1


def shuffled_conv(net: Net, x: int) -> int:
    """A convolution to as many channels as a shuffle takes, and the shuffle."""
    _image(net, x, 4)
    r = net.draw.pick((2, 3, 4))
    expanded = conv(net, x, r * r * net.draw.pick((1, 3, 2)))
    if net.draw.chance(0.4):
        expanded = activation(net, expanded)
    return pixel_shuffle(net, expanded)


def enlarged_conv(net: Net, x: int) -> int:
    """A nearest resize, perhaps pads, and a convolution."""
    shape = _image(net, x, 4)
    factor = net.draw.pick((2, 3, 2.0, 1.5, "odd"))
    mode = net.draw.pick(("nearest", "nearest-exact"), [4, 1])
    # The sizes of a map that was halved, rounding up.
    odd = {"size": tuple(2 * n - 1 for n in shape[2:])}
    options = odd if factor == "odd" else {"scale_factor": factor}
    large = net.add(
        f"interpolate[{options}, {mode}]", lambda v: F.interpolate(v, **options, mode=mode), x
    )
    if net.draw.chance(0.4):
        large = pad(net, large)
    return conv(net, large, net.draw.pick((*CHANNELS[:6], shape[1])))
