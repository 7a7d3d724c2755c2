"""What a tuner may try for a layer: values of every parameter, and which of their combinations.

A point of the space is a variant's parameters as flat ints, so that a log can hold it. ``fields``
says which values are worth sampling, ``tuning_refusal`` which combinations are not worth building:
some a schedule cannot do (it would raise, or compute something else), others cost too much (more
registers than there are, code that takes minutes to compile, a strip that no cache holds). A cost
may always be as high as that of the parameters that the variant chooses itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields as dataclass_fields
from functools import lru_cache
from numbers import Integral
from typing import TYPE_CHECKING, Any

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.errors import VariantError

from .costs import Cost, cost_refusal
from .variant import Sizes, Tunable

if TYPE_CHECKING:
    from .machines import Machine

# Pairs of a parameters class, and the names that a point has for them.
_PAIRS = {
    "outputs": ("outputs_h", "outputs_w"),
    "tiles": ("tile_rows", "tile_columns"),
    "depth": ("depth_outputs", "depth_tiles"),
}
# Fields that may be 0 without being a flag: they name one of several ways, or none.
_FROM_ZERO = ("stage_input", "stage_weights", "depth_outputs", "depth_tiles")
# What logs may lack that are older, and mean by it.
_LATER = {"depth_outputs": 0, "depth_tiles": 0}


def fields(
    variant: Tunable, conv: ConvTranspose2d, sizes: Sizes, machine: Machine
) -> dict[str, tuple[int, ...]]:
    """Values of every field that a tuner samples, ascending; those of the default among them.

    A field that does not matter for the variant or the layer has one value. The layer must not be
    one that the variant refuses.
    """
    own = _own(variant, conv, sizes, machine)
    values = variant.space.fields(conv, sizes, own, machine)
    return {
        name: tuple(sorted(values[name] | {default})) for name, default in point_of(own).items()
    }


def point_of(parameters: Any) -> dict[str, int]:
    """Parameters as flat ints: 0 or 1 for a flag, two fields for a pair."""
    point: dict[str, int] = {}
    for field in dataclass_fields(parameters):
        value = getattr(parameters, field.name)
        names = _PAIRS.get(field.name, (field.name,))
        values = value if field.name in _PAIRS else (value,)
        point |= {name: int(one) for name, one in zip(names, values, strict=True)}
    return point


def names_of(variant: Tunable) -> list[str]:
    """Fields of the points of a variant's parameters, in order."""
    parts = (_PAIRS.get(f.name, (f.name,)) for f in dataclass_fields(variant.parameters))
    return [name for part in parts for name in part]


def parameters_of(variant: Tunable, point: Mapping[str, int]) -> Any:
    """The parameters that ``point_of`` makes ``point`` of.

    What logs may lack that are older is 0: flags that are not set by default, and the depth.
    Raises VariantError for a field that is missing, unknown, no int, less than 1 (or 0, where that
    says something) or, for a flag, not 0 or 1.
    """
    parameters_class = variant.parameters
    flags = {f.name for f in dataclass_fields(parameters_class) if f.type == "bool"}
    names = {f.name: _PAIRS.get(f.name, (f.name,)) for f in dataclass_fields(parameters_class)}
    known = names_of(variant)
    unset = {f.name: 0 for f in dataclass_fields(parameters_class) if f.default is False}
    unset |= {name: value for name, value in _LATER.items() if name in known}
    point = unset | dict(point)
    for problem, found in (
        ("lack", [name for name in known if name not in point]),
        ("have an unknown field", [str(name) for name in point if name not in known]),
    ):
        if found:
            raise VariantError(
                f"parameters of {variant.name} {problem} {', '.join(found)}: "
                f"give exactly {', '.join(known)}"
            )
    for name in known:
        value = point[name]
        least = 0 if name in _FROM_ZERO else 1
        wanted = "0 or 1" if name in flags else f"an integer of at least {least}"
        fits = isinstance(value, Integral) and (
            value in (0, 1) if name in flags else value >= least
        )
        if not fits:
            raise VariantError(
                f"parameter {name} of {variant.name} must be {wanted}, got {value!r}"
            )
    arguments: dict[str, Any] = {}
    for name, parts in names.items():
        values = tuple(bool(point[p]) if p in flags else int(point[p]) for p in parts)
        arguments[name] = values if name in _PAIRS else values[0]
    return parameters_class(**arguments)


def tuning_refusal(
    variant: Tunable,
    conv: ConvTranspose2d,
    sizes: Sizes,
    parameters: Any,
    machine: Machine,
) -> str | None:
    """Why a kernel with these parameters should not even be built, in words; None if it should.

    Takes well under 0.2 ms, but for the first call for a layer, which has the variant choose.
    """
    refusal = parameters_refusal(variant, conv, sizes, parameters, machine)
    if refusal is not None:
        return refusal
    costs = variant.space.costs(conv, sizes, parameters, machine)
    return cost_refusal(costs, _own_costs(variant, conv, sizes, machine))


def parameters_refusal(
    variant: Tunable,
    conv: ConvTranspose2d,
    sizes: Sizes,
    parameters: Any,
    machine: Machine,
) -> str | None:
    """Why the schedule cannot do these parameters, whatever they cost; None if it can.

    What was measured needs no estimate of its cost, which differs where a machine's caches are not
    known.
    """
    refusal = _refusal(variant, conv)
    if refusal is not None:
        return refusal
    return variant.space.refusal(conv, sizes, parameters, machine)


@lru_cache(maxsize=256)
def _refusal(variant: Tunable, conv: ConvTranspose2d) -> str | None:
    return variant.cannot(conv)


@lru_cache(maxsize=256)
def _own(variant: Tunable, conv: ConvTranspose2d, sizes: Sizes, machine: Machine) -> Any:
    """The parameters that the variant chooses itself."""
    return variant.choose(conv, sizes, machine)


@lru_cache(maxsize=256)
def _own_costs(
    variant: Tunable, conv: ConvTranspose2d, sizes: Sizes, machine: Machine
) -> list[Cost]:
    own = _own(variant, conv, sizes, machine)
    return variant.space.costs(conv, sizes, own, machine)
