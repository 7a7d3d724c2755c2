"""A convolution layer as data: what it is made of, its geometry and its work.

Both the ONNX model of a layer and its ``ConvTranspose2d`` are derived from the same ``LayerSpec``,
so that a test, a benchmark and a tuner that name a layer mean the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.errors import GeometryError

Upsampling = Literal["subpixel", "nearest", "deconv", "conv"]
Activation = Literal["relu", "leaky_relu", "prelu", "elu", "tanh", "sigmoid"]

# Slope of the leaky ReLU of every network here that has one (pix2pix, ESRGAN).
LEAKY_SLOPE = 0.2


@dataclass(frozen=True)
class LayerSpec:
    """One layer of batch 1 in NCHW, with the same kernel, factor and padding along both axes.

    ``kind`` says how the layer upsamples: ``"subpixel"`` is a convolution and a pixel shuffle,
    ``"nearest"`` a nearest resize and a convolution, ``"deconv"`` a transposed convolution, and
    ``"conv"`` a plain convolution, the only one that may have a ``stride``.

    ``height`` and ``width`` are those of the input, before any resize. ``out_channels`` are those
    of the output, after the shuffle. ``padding`` is the convolution's own (for ``"deconv"`` the
    cropped samples, as in ONNX); with ``padding_mode`` ``"reflect"`` it comes from a padding
    operator before the convolution. ``activation_first`` puts the activation before the shuffle,
    ``order`` is the channel order of the shuffle (ONNX ``CRD`` or ``DCR``).

    Raises GeometryError for a combination that no network has and no method here supports.
    """

    kind: Upsampling
    in_channels: int
    out_channels: int
    kernel: int
    height: int
    width: int
    factor: int = 1
    padding: int = 0
    output_padding: int = 0
    groups: int = 1
    stride: int = 1
    bias: bool = True
    activation: Activation | None = None
    activation_first: bool = False
    order: Literal["CRD", "DCR"] = "CRD"
    padding_mode: Literal["zeros", "reflect"] = "zeros"

    def __post_init__(self) -> None:
        if self.kind == "conv" and self.factor != 1:
            raise GeometryError(f"a plain convolution has factor 1, got {self.factor}")
        if self.kind != "conv" and self.stride != 1:
            raise GeometryError(f"only a plain convolution has a stride, got {self.stride}")
        if self.kind != "deconv" and self.output_padding:
            raise GeometryError(f"only a deconv has output padding, got {self.output_padding}")
        if self.activation_first and self.kind != "subpixel":
            raise GeometryError(f"activation_first needs a pixel shuffle, which {self.kind} lacks")
        if self.padding_mode == "reflect" and self.kind == "deconv":
            raise GeometryError("a deconv crops its output, so its padding cannot reflect")
        # Only then are the reflected pixels copies of the outermost input sample.
        reflects = self.padding_mode == "reflect" and self.kind == "nearest"
        if reflects and self.padding >= self.factor:
            raise GeometryError(
                f"reflection by {self.padding} behind a resize by {self.factor}: the padding "
                "must be smaller than the factor"
            )

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """NCHW."""
        return 1, self.in_channels, self.height, self.width

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """NCHW."""
        if self.stride > 1:
            return 1, self.out_channels, self._strided(self.height), self._strided(self.width)
        _, _, height, width = self.geometry_shape
        return self.geometry().output_shape(1, height, width)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Weights as trained: IOHW for ``"deconv"``, OIHW for the others."""
        ends = self.conv_channels, self.in_channels // self.groups
        if self.kind == "deconv":
            ends = self.in_channels, self.out_channels // self.groups
        return *ends, self.kernel, self.kernel

    @property
    def conv_channels(self) -> int:
        """Output channels of the convolution itself: factor² times more before a shuffle."""
        return self.out_channels * (self.factor**2 if self.kind == "subpixel" else 1)

    @property
    def halo(self) -> int:
        """Input samples that reflection turns into an explicit padding of the input, each side.

        The transposed convolution of ``geometry`` reads the padded input. For ``"nearest"`` they
        are copies of the edge, which the resize repeats and the geometry crops again.
        """
        if self.padding_mode == "zeros":
            return 0
        return min(self.padding, 1) if self.kind == "nearest" else self.padding

    @property
    def geometry_shape(self) -> tuple[int, int, int, int]:
        """NCHW input shape of the transposed convolution of ``geometry``."""
        return 1, self.in_channels, self.height + 2 * self.halo, self.width + 2 * self.halo

    def geometry(self) -> ConvTranspose2d:
        """The transposed convolution that this layer is, or is rewritten to.

        Raises GeometryError for a convolution with a stride, which is none.
        """
        axis = self._axis()
        return ConvTranspose2d(self.in_channels, self.out_channels, axis, axis, self.groups)

    def _axis(self) -> Axis:
        if self.stride > 1:
            raise GeometryError(
                f"a convolution with stride {self.stride} has no transposed convolution: "
                "only stride 1 has"
            )
        if self.kind == "deconv":
            return Axis(self.kernel, self.factor, self.padding, self.padding, self.output_padding)
        if self.kind == "nearest":
            conv = ConvAxis(self.kernel, self.padding, self.padding)
            return axis_of_resize(conv, self.factor, (self.halo, self.halo))
        pad = self.padding - self.halo
        return axis_of_subpixel(ConvAxis(self.kernel, pad, pad), self.factor)

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of the transposed convolution, or of the strided convolution.

        Borders count as if they were inside: every input sample meets every tap. An explicit
        padding of the input is not counted, so a layer costs the same with either padding mode.
        """
        if self.stride > 1:
            _, channels, height, width = self.output_shape
            taps = self.kernel**2 * self.in_channels // self.groups
            return channels * height * width * taps
        return self.geometry().multiply_adds(1, self.height, self.width)

    def _strided(self, size: int) -> int:
        return (size + 2 * self.padding - self.kernel) // self.stride + 1
