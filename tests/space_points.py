"""Points of a variant's space of parameters, for both kinds of machines."""

from __future__ import annotations

from hypothesis import strategies as st

from tvm_deconv.schedules.space import fields, parameters_of, point_of, tuning_refusal


def check_default(variant, conv, sizes, machine):
    """The variant's own parameters are a point of the space, sampled values and all."""
    own = variant.choose(conv, sizes, machine)
    assert tuning_refusal(variant, conv, sizes, own, machine) is None
    point, values = point_of(own), fields(variant, conv, sizes, machine)
    assert list(point) == list(values)
    assert all(point[field] in values[field] for field in point)
    assert all(list(v) == sorted(set(v)) for v in values.values())
    assert parameters_of(variant, point) == own


def feasible(draw, variant, conv, sizes, machine):
    """Parameters of a feasible point: a walk from the variant's own choice.

    Each step draws another value for a field, and is taken back if the point is infeasible.
    """
    parameters = variant.choose(conv, sizes, machine)
    values = fields(variant, conv, sizes, machine)
    for field in draw(st.permutations(sorted(values))):
        point = point_of(parameters) | {field: draw(st.sampled_from(values[field]))}
        further = parameters_of(variant, point)
        if tuning_refusal(variant, conv, sizes, further, machine) is None:
            parameters = further
    return parameters
