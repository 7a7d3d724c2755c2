"""What is tuned: a convolution layer, and a layer with one choice of variant and parameters.

MetaSchedule searches over schedules of one TensorIR function. Tile sizes of our variants are more
than that: they change the definition, the packed weights included. So the function that it sees is
the plain definition of the layer, which says what is computed and nothing about how, and a
candidate is that function with the variant and its parameters as annotations. Only the builder
(``build``) makes a kernel of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import tvm
from tvm import te, tirx
from tvm.s_tir import Schedule

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.errors import LogError
from tvm_deconv.schedules.machines import Machine, variants_for
from tvm_deconv.schedules.space import parameters_of
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes, Variant

# Attribute of the plain definition: the layer as JSON.
LAYER_ATTRIBUTE = "tvm_deconv.layer"
# Annotations of its block begin with this: ``tvm_deconv.variant``, ``tvm_deconv.rows``, ...
PREFIX = "tvm_deconv."
VARIANT_ANNOTATION = PREFIX + "variant"
_BLOCK = "y"


@dataclass(frozen=True)
class Layer:
    """A transposed convolution for one size of input; ``dtype`` is that of input and output."""

    conv: ConvTranspose2d
    sizes: Sizes
    dtype: str = "float32"

    @property
    def fixed(self) -> tuple[int, int, int]:
        """The sizes, none of which may be free."""
        batch, height, width = self.sizes
        if batch is None or height is None or width is None:
            raise LogError(f"a layer of free size has no shape: {self.sizes}")
        return batch, height, width

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """NCHW."""
        batch, height, width = self.fixed
        return batch, self.conv.in_channels, height, width

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """NCHW."""
        return self.conv.output_shape(*self.fixed)

    @property
    def multiply_adds(self) -> int:
        """As ``ConvTranspose2d.multiply_adds`` counts them."""
        return self.conv.multiply_adds(*self.fixed)

    def as_json(self) -> str:
        """One line; the same layer always gives the same text."""
        axes = {name: _axis_as_dict(getattr(self.conv, name)) for name in ("h", "w")}
        described = {
            "in_channels": self.conv.in_channels,
            "out_channels": self.conv.out_channels,
            "groups": self.conv.groups,
            **axes,
            "sizes": list(self.sizes),
            "dtype": self.dtype,
        }
        return json.dumps(described, separators=(",", ":"))

    @staticmethod
    def from_json(text: str) -> Layer:
        """The inverse of ``as_json``. Raises LogError for text that describes no layer."""
        try:
            read = json.loads(text)
            h, w = (
                Axis(**{**read[name], "zero_taps": frozenset(read[name]["zero_taps"])})
                for name in ("h", "w")
            )
            conv = ConvTranspose2d(read["in_channels"], read["out_channels"], h, w, read["groups"])
            return Layer(conv, Sizes(*read["sizes"]), read["dtype"])
        except (ValueError, KeyError, TypeError) as error:
            raise LogError(f"{text[:80]!r} does not describe a layer: {error}") from error

    def definition(self) -> tvm.IRModule:
        """The plain definition: ``main(x NCHW, weight IOHW, y NCHW)``, and the layer as attribute.

        y[n, o, oh, ow] = sum of x[n, i, ih, iw] * weight[i, o, kh, kw] over all i, kh, kw for which
        ih = (oh + p - d*kh) / s and iw likewise are integers inside the input.
        """
        conv = self.conv
        _, height, width = self.fixed
        x = te.placeholder(self.input_shape, self.dtype, "x")
        weight = te.placeholder(conv.weight_shape, self.dtype, "weight")
        ic = te.reduce_axis((0, conv.group_inputs), "ic")
        kh = te.reduce_axis((0, conv.h.kernel), "kh")
        kw = te.reduce_axis((0, conv.w.kernel), "kw")

        def source(axis: Axis, o: Any, k: Any, size: int) -> tuple[Any, Any]:
            reached = o + axis.pad_begin - axis.dilation * k
            index = tirx.floordiv(reached, axis.stride)
            whole = tirx.floormod(reached, axis.stride) == 0
            return index, tirx.all(whole, index >= 0, index < size)

        def element(n: Any, o: Any, oh: Any, ow: Any) -> Any:
            group, within = o // conv.group_outputs, o % conv.group_outputs
            (ih, row), (iw, column) = (
                source(conv.h, oh, kh, height),
                source(conv.w, ow, kw, width),
            )
            channel = group * conv.group_inputs + ic
            term = (x[n, channel, ih, iw] * weight[channel, within, kh, kw]).astype(
                ACCUMULATE_DTYPE
            )
            zero = tirx.const(0, ACCUMULATE_DTYPE)
            live = tirx.if_then_else(tirx.all(row, column), term, zero)
            return te.sum(live, axis=[ic, kh, kw])

        y = te.compute(self.output_shape, element, name=_BLOCK)
        func = te.create_prim_func([x, weight, y], index_dtype_override="int64")
        func = func.with_attr("global_symbol", "main").with_attr("tirx.noalias", True)
        return tvm.IRModule({"main": func.with_attr(LAYER_ATTRIBUTE, self.as_json())})


def _axis_as_dict(axis: Axis) -> dict[str, Any]:
    return {**asdict(axis), "zero_taps": sorted(axis.zero_taps)}


@dataclass(frozen=True)
class Candidate:
    """A layer, the variant that computes it, and the variant's parameters."""

    layer: Layer
    variant: Variant
    parameters: Any

    @property
    def weight_dtype(self) -> str:
        """That of the packed weights."""
        return self.variant.weight_dtype(self.layer.dtype)

    def kernel(self) -> tirx.PrimFunc:
        """The scheduled ``main(x NCHW, packed weights, y NCHW)``."""
        layer, variant = self.layer, self.variant
        x = te.placeholder(layer.input_shape, layer.dtype, "x")
        packed = te.placeholder(
            variant.packed_shape(layer.conv, self.parameters), self.weight_dtype, "packed"
        )
        y = variant.compute(layer.conv, self.parameters, x, packed)
        func = te.create_prim_func([x, packed, y], index_dtype_override="int64")
        func = func.with_attr("tirx.noalias", True).with_attr("global_symbol", "main")
        return variant.schedule(func, layer.conv, self.parameters)


def is_layer(mod: tvm.IRModule) -> bool:
    """Whether a module is a ``Layer.definition``, with or without annotations."""
    return LAYER_ATTRIBUTE in (mod["main"].attrs or {})


def layer_of(mod: tvm.IRModule) -> Layer:
    """The layer of a ``Layer.definition``. Raises LogError for another module."""
    if not is_layer(mod):
        raise LogError("a tuning record is not for a convolution layer of this package")
    return Layer.from_json(str(mod["main"].attrs[LAYER_ATTRIBUTE]))


def annotate(sch: Schedule, variant: str, point: dict[str, Any]) -> None:
    """Write a variant and its parameters (numbers or sampled variables) into a definition."""
    block = sch.get_sblock(_BLOCK)
    sch.annotate(block, VARIANT_ANNOTATION, variant)
    for name, value in point.items():
        sch.annotate(block, PREFIX + name, value)


def candidate_of(sch: Schedule, machine: Machine) -> Candidate:
    """What ``annotate`` wrote: names are those of the machine's variants.

    Raises LogError for a variant that is not known, VariantError for parameters that it has not.
    """
    layer = layer_of(sch.mod)
    found = sch.get(sch.get_sblock(_BLOCK)).annotations
    name = str(found.get(VARIANT_ANNOTATION, ""))
    variants = variants_for(machine)
    if name not in variants:
        raise LogError(f"variant {name!r} is not known: it has one of {', '.join(variants)}")
    point = {
        str(key).removeprefix(PREFIX): int(value)
        for key, value in found.items()
        if str(key).startswith(PREFIX) and key != VARIANT_ANNOTATION
    }
    variant = variants[name]
    return Candidate(layer, variant, parameters_of(variant, point))
