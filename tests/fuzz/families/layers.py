"""Layers below the importer: any transposed convolution by any variant, with any parameters.

The reference is the scatter in float64. Scratch is full of NaN, and so is what lies around inputs,
weights and output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import kernel
import numpy as np
from tvm import te, tirx
from tvm.support import cc

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.algebra.known_weights import obeying
from tvm_deconv.backends import machine_of
from tvm_deconv.backends.linking import linker
from tvm_deconv.errors import TvmDeconvError
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.space import fields, parameters_of, point_of, tuning_refusal
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes
from tvm_deconv.targets import resolve_target

from .. import board
from .. import outcome as kinds
from ..choices import Choices
from ..execution import run_kernel
from ..memory import nan
from ..options import draw_processor
from ..outcome import Outcome, Progress, escaped, refusal
from ..values import filled, weights

_SIZES = (8, 5, 1, 2, 3, 7, 13, 16, 17, 31, 40, 75)
_CHANNELS = (1, 2, 3, 4, 5, 8, 9, 16, 17, 32, 33, 64, 70)
_FREE = ("", "hw", "nhw", "w", "h", "n")
# So many products take a moment at most, by the slowest variant.
_MOST_PRODUCTS = 20_000_000
_POINTS_TRIED = 12


@dataclass(frozen=True)
class LayerCase:
    """``point`` are parameters of the tuner's space, None for the variant's own choice.

    ``finished``: something per channel and phase is added, then clipped, where it is stored.
    """

    conv: ConvTranspose2d
    shape: tuple[int, int, int]
    variant: str
    dtype: str
    symbolic: str
    target: dict[str, Any]
    point: dict[str, int] | None
    finished: bool = False

    def text(self) -> str:
        c = self.conv
        lines = [
            f"ConvTranspose2d({c.in_channels}, {c.out_channels}, {_spelled(c.h)},",
            f"    {_spelled(c.w)}, groups={c.groups}, step={c.step})",
            f"input (n, h, w) {self.shape} of {self.dtype}, free: {self.symbolic or 'none'}",
            f"variant {self.variant}, parameters {self.point or 'of its own choice'}",
            f"target {self.target}, with an epilogue: {self.finished}",
        ]
        return "\n".join(lines)

    def run(self, progress: Progress) -> Outcome:
        """Schedule, compile, run and compare."""
        variant = VARIANTS[self.variant]
        reason = variant.refusal(self.conv, ACCUMULATE_DTYPE)
        if reason is not None:
            return Outcome(kinds.REFUSED, f"{self.variant}: {reason}")
        progress("compile")
        target = resolve_target(self.target or "host")
        chosen = parameters_of(variant, self.point) if self.point else None
        try:
            func, parameters = kernel.function(
                self.variant,
                self.conv,
                self.shape,
                self.dtype,
                target,
                self.symbolic,
                epilogue=_epilogue if self.finished else None,
                parameters=chosen,
            )
            built = _linked(kernel.compile_here(func, target), target)
        except TvmDeconvError as error:
            return refusal(error)
        except Exception as error:  # whatever it is, it is what is looked for
            return escaped(error)
        return self._compare(built, parameters, progress)

    def _compare(self, built: Any, parameters: Any, progress: Progress) -> Outcome:
        n, h, w = self.shape
        variant = VARIANTS[self.variant]
        x = filled((n, self.conv.in_channels, h, w), self.dtype, 0)
        weight = _weights(self.conv, self.dtype)
        packed = variant.pack_weights(weight, self.conv, parameters)
        if packed.shape != variant.packed_shape(self.conv, parameters):
            return Outcome(kinds.WRONG, f"shape of packed weights {packed.shape}")
        packed = packed.astype(variant.weight_dtype(self.dtype))
        progress("run")
        found = run_kernel(built, [x, packed, nan(self.conv.output_shape(n, h, w), self.dtype)])
        if isinstance(found, Outcome):
            return found
        if isinstance(found, Exception):
            return escaped(found, "when run: ")
        progress("compare")
        down, right = self.conv.step
        every = replace(self.conv, step=(1, 1))
        wanted = kernel.expected_output(every, x, weight)[:, :, ::down, ::right]
        return _judged(found[0], _finished(wanted) if self.finished else wanted, self)


def _linked(built: Any, target: Any) -> Any:
    """What was built for ``target``, as a library if it is run on the board."""
    if board.core() is None:
        return built
    library = board.OnBoard(kernel=True)
    built.export_library(str(library.path), fcompile=cc.create_shared, cc=linker(target))
    return library


def _epilogue(y: te.Tensor) -> te.Tensor:
    added = te.compute(
        y.shape,
        lambda n, c, i, j: y[n, c, i, j] + (c % 5 + i % 2 + 2 * (j % 2)).astype(y.dtype),
        name="add",
    )
    return te.compute(y.shape, lambda *i: tirx.min(added(*i), tirx.const(6, y.dtype)), name="clip")


def _finished(y: np.ndarray) -> np.ndarray:
    """The epilogue on arrays."""
    _, c, i, j = np.ogrid[tuple(slice(n) for n in y.shape)]
    return np.minimum(y + c % 5 + i % 2 + 2 * (j % 2), 6)


def layer(draw: Choices) -> LayerCase:
    """Any layer, any variant that computes such layers."""
    inputs, outputs, groups = _channels(draw)
    shape = draw.pick((1, 2, 3), [4, 1, 1]), draw.pick(_SIZES), draw.pick(_SIZES)
    axes = [_axis(draw, size) for size in shape[1:]]
    step = tuple(_step(draw) if axis.stride == 1 else 1 for axis in axes)
    conv = ConvTranspose2d(inputs, outputs, axes[0], axes[1], groups, step)
    while conv.multiply_adds(*shape) > _MOST_PRODUCTS:
        inputs, outputs = groups * max(1, inputs // groups // 2), groups
        shape = shape[0], max(1, shape[1] // 2), max(1, shape[2] // 2)
        axes = [_not_empty(axis, size) for axis, size in zip(axes, shape[1:], strict=True)]
        conv = ConvTranspose2d(inputs, outputs, axes[0], axes[1], groups, step)
    variant = draw.pick([n for n, v in VARIANTS.items() if v.has_steps or step == (1, 1)])
    target = draw_processor(draw)
    symbolic = draw.pick(_FREE, [6, 1, 1, 1, 1, 0.5])
    dtype = draw.pick(("float32", "float16"), [4, 1])
    point = _point(draw, variant, conv, shape, symbolic, target) if draw.chance(0.5) else None
    return LayerCase(conv, shape, variant, dtype, symbolic, target, point, draw.chance(0.25))


def _channels(draw: Choices) -> tuple[int, int, int]:
    """Channels in, channels out and groups: every third layer has a group for each input."""
    if draw.chance(0.35):
        groups = draw.pick(_CHANNELS)
        return groups, groups * draw.pick((1, 2, 3, 5, 8), [6, 2, 1, 1, 1]), groups
    groups = draw.pick((1, 2, 3, 5), [8, 1, 1, 0.5])
    most = 70 // groups
    inputs, outputs = (groups * draw.pick([c for c in _CHANNELS if c <= most]) for _ in range(2))
    return inputs, outputs, groups


def _step(draw: Choices) -> int:
    """Every which output is computed."""
    return draw.pick((1, 2, 3, 4, 5, 11), [4, 4, 1, 1, 0.5, 0.5])


def _axis(draw: Choices, size: int) -> Axis:
    """Any axis, or one that the rewrite makes, with at least one output."""
    if draw.chance(0.3):
        dilation, taps = draw.pick((1, 2, 3), [6, 1, 1]), draw.integer(1, 4)
        reach = dilation * (taps - 1)
        conv = ConvAxis(taps, draw.integer(0, reach), draw.integer(0, reach), dilation)
        origin = draw.pick((axis_of_subpixel, axis_of_resize))
        return _not_empty(origin(conv, draw.integer(1, 4)), size)
    dilation, taps = draw.pick((1, 2, 3), [6, 1, 1]), draw.pick((3, 1, 2, 4, 5, 6, 7, 9))
    stride = draw.pick((2, 1, 3, 4, 5), [4, 4, 3, 2, 0.5])
    reach = dilation * (taps - 1)
    beyond = draw.pick((0, 1, 2, 5), [5, 1, 1, 1])
    axis = Axis(
        taps,
        stride,
        draw.integer(0, reach + beyond),
        draw.integer(0, reach + beyond),
        draw.below(stride),
        dilation,
    )
    return _not_empty(axis, size)


def _not_empty(axis: Axis, size: int) -> Axis:
    """The axis, with less crop where nothing would be left."""
    begin, end = axis.pad_begin, axis.pad_end
    while (lack := 1 - axis.output_size(size)) > 0:
        end, begin = max(0, end - lack), begin if end >= lack else max(0, begin + end - lack)
        axis = Axis(
            axis.kernel,
            axis.stride,
            begin,
            end,
            axis.output_padding,
            axis.dilation,
            axis.zero_taps,
            axis.equal_sums,
        )
    return axis


def _point(
    draw: Choices,
    name: str,
    conv: ConvTranspose2d,
    shape: Sequence[int],
    symbolic: str,
    target: dict[str, Any],
) -> dict[str, int] | None:
    """A point of the tuner's space that it would build, by trying some."""
    variant = VARIANTS[name]
    if variant.refusal(conv, ACCUMULATE_DTYPE) is not None:
        return None
    machine = machine_of(resolve_target(target or "host"))
    sizes = Sizes(*(None if d in symbolic else n for d, n in zip("nhw", shape, strict=True)))
    own = point_of(variant.choose(conv, sizes, machine))
    known = fields(variant, conv, sizes, machine)
    for _ in range(_POINTS_TRIED):
        point = {
            key: draw.pick((own[key], *(v for v in values if v != own[key])))
            for key, values in known.items()
        }
        if not tuning_refusal(variant, conv, sizes, parameters_of(variant, point), machine):
            return point
    return None


def _weights(conv: ConvTranspose2d, dtype: str) -> np.ndarray:
    terms = conv.group_inputs * conv.h.max_taps * conv.w.max_taps
    return obeying(conv, weights(conv.weight_shape, dtype, 1, terms))


def _judged(got: np.ndarray, wanted: np.ndarray, case: LayerCase) -> Outcome:
    largest = max(float(np.abs(wanted).max()), 1e-9)
    tolerances = kernel.WINOGRAD_TOLERANCE if case.variant == "winograd" else kernel.TOLERANCE
    limit = 2 * tolerances[case.dtype] * largest
    apart = np.abs(got.astype("float64") - wanted)
    wrong = ~(apart <= limit)
    if not wrong.any():
        return Outcome(kinds.OK)
    place = tuple(map(int, np.argwhere(wrong)[0]))
    return Outcome(
        kinds.WRONG,
        f"{case.variant}: {wrong.mean():.1%} of the elements off by more than {limit:.3g}, first "
        f"at {place}: got {float(got[place]):.6g}, expected {wanted[place]:.6g}",
    )


def _spelled(axis: Axis) -> str:
    words = [str(axis.kernel)]
    names = (
        "stride",
        "pad_begin",
        "pad_end",
        "output_padding",
        "dilation",
        "zero_taps",
        "equal_sums",
    )
    for name in names:
        value = getattr(axis, name)
        words.append(f"{name}={sorted(value) if name == 'zero_taps' else value}")
    return f"Axis({', '.join(words)})"
