"""The tuner's space: it holds what is chosen without it, refuses with reasons, and is right."""

from __future__ import annotations

from dataclasses import replace

import kernel
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel import has_output, layers, square
from workload_helpers import by_name

from tvm_deconv.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize, axis_of_subpixel
from tvm_deconv.schedules.machine import CpuMachine, cpu_machine
from tvm_deconv.schedules.space import fields, infeasible, parameters_of, point_of
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes
from tvm_deconv.schedules.variants import VARIANTS
from tvm_deconv.targets import resolve_target
from tvm_deconv.workloads import ALL

every_variant = pytest.mark.parametrize("variant", sorted(VARIANTS))

# A server, a board and a processor with few registers; two of them with more than one thread.
AVX512 = CpuMachine(
    name="avx512",
    lanes=16,
    vector_registers=32,
    l1_bytes=32 * 1024,
    l2_bytes=1024 * 1024,
    threads=2,
    memory_operands=True,
    l3_bytes=16 * 1024 * 1024,
)
NEON = cpu_machine(resolve_target("raspberry-pi/4b-aarch64"))
AVX2 = cpu_machine(resolve_target({"kind": "llvm", "mcpu": "haswell", "num-cores": 1}))
MACHINES = st.sampled_from([AVX512, NEON, AVX2])

SUBPIXEL = ConvTranspose2d(8, 6, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))
NEAREST = ConvTranspose2d(32, 64, *square(axis_of_resize, ConvAxis(3, 1, 1), 2))
PLAIN = ConvTranspose2d(64, 64, *square(Axis, 3, 1, 1, 1))
UNEVEN = ConvTranspose2d(16, 16, *square(Axis, 5, 2, 2, 2, 1))


def computes(variant, conv):
    return VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE) is None


@st.composite
def free_or_known(draw, shape):
    """Sizes of which some are only known at run time."""
    free = draw(st.sampled_from(["", "", "hw", "nhw", "w", "h"]))
    return Sizes(*(None if name in free else n for name, n in zip("nhw", shape, strict=True)))


def check_default(name, conv, sizes, machine):
    """The variant's own parameters are a point of the space, sampled values and all."""
    variant = VARIANTS[name]
    own = variant.choose(conv, sizes, machine)
    assert infeasible(variant, conv, sizes, own, machine) is None
    point, values = point_of(own), fields(variant, conv, sizes, machine)
    assert list(point) == list(values)
    assert all(point[field] in values[field] for field in point)
    assert all(list(v) == sorted(set(v)) for v in values.values())
    assert parameters_of(variant, point) == own


@every_variant
@settings(deadline=None, max_examples=40)
@given(layers(), st.data(), MACHINES)
def test_what_a_variant_chooses_itself_is_in_its_space(variant, layer, data, machine):
    conv, shape = layer
    sizes = data.draw(free_or_known(shape))
    if has_output(conv, shape) and computes(variant, conv):
        check_default(variant, conv, sizes, machine)


@by_name(ALL)
def test_what_is_chosen_for_a_workload_is_in_the_space(workload):
    for spec in {replace(spec, activation=None) for spec in workload.layers}:
        if spec.stride > 1:
            continue
        n, _, h, w = spec.geometry_shape
        for name in VARIANTS:
            if computes(name, spec.geometry()):
                check_default(name, spec.geometry(), Sizes(n, h, w), AVX512)


WINOGRAD_AXES = st.sampled_from(
    [
        Axis(3, 1, 1, 1),
        Axis(4, 2, 1, 1),
        Axis(9, 3, 4, 4, 2),
        axis_of_subpixel(ConvAxis(3, 0, 2), 2),
        axis_of_resize(ConvAxis(5, 2, 1), 2),
        axis_of_resize(ConvAxis(3, 1, 1), 3),
    ]
)


@st.composite
def tuned_layers(draw, name):
    """(layer, input size, parameters) of a feasible point: a walk from the variant's own choice.

    Each step draws another value for a field, and is taken back if the point is infeasible.
    """
    conv, shape = draw(layers())
    if name == "winograd":
        conv = replace(conv, h=draw(WINOGRAD_AXES), w=draw(WINOGRAD_AXES))
    assume(has_output(conv, shape))
    sizes, machine = draw(free_or_known(shape)), draw(MACHINES)
    variant = VARIANTS[name]
    parameters = variant.choose(conv, sizes, machine)
    values = fields(variant, conv, sizes, machine)
    for field in draw(st.permutations(sorted(values))):
        point = point_of(parameters) | {field: draw(st.sampled_from(values[field]))}
        further = parameters_of(variant, point)
        if infeasible(variant, conv, sizes, further, machine) is None:
            parameters = further
    return conv, shape, sizes, parameters


@every_variant
@settings(deadline=None, max_examples=8)
@given(st.data(), st.sampled_from(["float32", "float16"]))
def test_a_feasible_point_computes_the_layer(variant, data, dtype):
    conv, shape, sizes, parameters = data.draw(tuned_layers(variant))
    symbolic = "".join(name for name, n in zip("nhw", sizes, strict=True) if n is None)
    kernel.check(variant, conv, shape, dtype, symbolic=symbolic, parameters=parameters)
