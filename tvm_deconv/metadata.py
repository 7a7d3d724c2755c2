"""What a compiled library says of itself: its inputs and outputs, and the device it is for.

TVM keeps neither names nor shapes of a compiled ``main``. They are stored as JSON text that one
extra function of the virtual machine returns, so that a library stays a single file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import tvm
from tvm import relax
from tvm.target import Target

from tvm_deconv.algebra.reach import Field, Overlap
from tvm_deconv.backends import LibraryDevice, backend_of
from tvm_deconv.pixels import Pixels

FUNCTION = "tvm_deconv_metadata"
_FORMAT = 1


@dataclass(frozen=True)
class Port:
    """An input or output; each axis is a size, or the name or formula of a free dimension."""

    name: str
    shape: tuple[int | str, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(map(str, self.shape))}) {self.dtype}"


@dataclass(frozen=True)
class Metadata:
    """Inputs in the model's order, outputs, the device, and what is known of pictures.

    ``pixels`` is what whoever compiled it said, ``stated_pixels`` what the model itself says;
    ``guessed_range`` is what the network itself was asked then, where neither says a range.
    ``field`` is None in libraries of before it was asked for.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    device: LibraryDevice
    pixels: Pixels
    stated_pixels: Pixels
    guessed_range: str | None
    field: Field | None

    @property
    def known_pixels(self) -> Pixels:
        """What was said when it was compiled, and else by the model itself."""
        return self.stated_pixels.overridden_by(self.pixels)


def ports(mod: tvm.IRModule) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """The inputs and the outputs of ``main``."""
    main = mod["main"]
    returned = main.ret_ty.fields if isinstance(main.ret_ty, relax.TupleType) else [main.ret_ty]
    inputs = tuple(_tensor(param.name, param.ty) for param in main.params)
    return inputs, tuple(_tensor(f"output_{i}", ty) for i, ty in enumerate(returned))


def library_device(target: Target) -> LibraryDevice:
    """The device that a library for ``target`` runs on."""
    return backend_of(target).library_device(target)


def attach(mod: tvm.IRModule, description: Metadata) -> tvm.IRModule:
    """A copy of the module with a function that returns this description, and no other."""
    raw = {"format": _FORMAT, **asdict(description)}
    body = relax.SeqExpr([], tvm.ir.StringImm(json.dumps(raw, default=str)))
    function = relax.Function([], body, ret_ty=relax.AnyType())
    others = {var: f for var, f in mod.functions.items() if var.name_hint != FUNCTION}
    described = tvm.IRModule(others, attrs=mod.attrs)
    described[FUNCTION] = function.with_attr("global_symbol", FUNCTION)
    return described


def parse(text: str) -> Metadata:
    """The description in what the library's function returned.

    Raises ValueError for text that this version does not understand.
    """
    raw = json.loads(text)
    if raw.get("format") != _FORMAT:
        raise ValueError(f"metadata of format {raw.get('format')}, expected {_FORMAT}")
    sides = (raw["inputs"], raw["outputs"])
    inputs, outputs = (tuple(_parse_tensor(tensor) for tensor in side) for side in sides)
    # Libraries of before there were GPUs do not name their device, nor do old ones name pixels.
    return Metadata(
        inputs,
        outputs,
        LibraryDevice(**raw.get("device", {})),
        Pixels(**raw.get("pixels", {})),
        Pixels(**raw.get("stated_pixels", {})),
        raw.get("guessed_range"),
        _parse_field(raw.get("field")),
    )


def _parse_field(raw: dict[str, Any] | None) -> Field | None:
    if raw is None:
        return None
    sides = {
        side: Overlap(**{**raw[side], "scale": Fraction(raw[side]["scale"])})
        for side in ("h", "w")
        if raw[side] is not None
    }
    return Field(**{**raw, **sides})


def _parse_tensor(raw: dict[str, Any]) -> Port:
    return Port(raw["name"], tuple(raw["shape"]), raw["dtype"])


def _tensor(name: str, ty: Any) -> Port:
    if not isinstance(ty, relax.TensorType):
        return Port(name, (), str(ty))
    dims = ty.shape if isinstance(ty.shape, relax.ShapeExpr) else ["?"] * max(ty.ndim, 0)
    shape = tuple(d.value if isinstance(d, tvm.tirx.IntImm) else str(d) for d in dims)
    return Port(name, shape, str(ty.dtype))
