"""Random upsampling layers, as dictionaries: each front builds them in its own IR. No TVM here."""

from __future__ import annotations

from hypothesis import strategies as st

# What may stand between a convolution and a shuffle.
POINTWISE = (
    "bias",
    "one bias for all",
    "reversed subtraction",
    "scale",
    "quotient",
    "batch norm",
    "prelu",
    "decomposed prelu",
    "silu in two",
    "clip",
    "relu",
)

# Modes of a resize with a rounding and a factor for which output i reads input i div factor.
NEAREST_MODES = [
    ("half_pixel", "round", 2),
    ("half_pixel", "round_prefer_floor", 3),
    ("half_pixel", "round_prefer_ceil", 4),
    ("pytorch_half_pixel", "round", 2),
    ("asymmetric", "floor", 3),
    ("asymmetric", "", 2),
    ("asymmetric", "round_prefer_floor", 2),
    ("tf_half_pixel_for_nn", "floor", 3),
    ("align_corners", "round", 2),
    ("align_corners", "", 2),
]


@st.composite
def subpixel_cases(draw):
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    top, left, bottom, right = (draw(st.integers(0, reach[i % 2])) for i in range(4))
    order = draw(st.sampled_from(["CRD", "DCR"]))
    groups = draw(st.sampled_from([1, 1, 2])) if order == "CRD" else 1
    factor = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)).filter(lambda f: f != (1, 1)))
    return {
        "kernel": kernel,
        "dilation": dilation,
        "padding": (top, left, bottom, right),
        "order": order,
        "groups": groups,
        "factor": factor,
        "channels": (groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))),
        "size": (reach[0] + draw(st.integers(1, 3)), reach[1] + draw(st.integers(1, 3))),
        "batch": draw(st.integers(1, 2)),
        "kinds": draw(st.lists(st.sampled_from(POINTWISE), max_size=3)),
        "layout": draw(st.sampled_from(["NCHW", "NHWC"])),
        "dtype": draw(st.sampled_from(["float32", "float16"])),
        "seed": draw(st.integers(0, 2**16)),
    }


@st.composite
def resize_cases(draw):
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
    factor = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)).filter(lambda f: f != (1, 1)))
    size = [side + draw(st.integers(1, 3)) for side in reach]
    # Less than all copies of a sample: top, left, bottom, right.
    is_cropped = draw(st.booleans())
    crop = [draw(st.integers(0, factor[i % 2] - 1)) if is_cropped else 0 for i in range(4)]
    crop = [0 if i > 1 and size[i % 2] == 1 else each for i, each in enumerate(crop)]
    mode = draw(st.sampled_from(["none", "constant", "replicate", "reflect"]))
    # As much padding as the rewrite promises: zeros within the reach, reflections below r.
    if mode == "constant":
        limit = [*reach, *reach]
    elif mode == "reflect":
        limit = [factor[i % 2] - 1 - crop[i] for i in range(4)]
    else:
        limit = [0 if mode == "none" else 3] * 4
    pad = tuple(draw(st.integers(0, k)) for k in limit)
    left = [max(0, reach[i % 2] - pad[i] * (mode != "none")) for i in range(4)]
    padding = tuple(draw(st.integers(0, zeros)) for zeros in left)
    groups = draw(st.sampled_from([1, 1, 2]))
    return {
        "kernel": kernel,
        "dilation": dilation,
        "factor": factor,
        "crop": tuple(crop),
        "mode": mode,
        "pad": pad,
        "padding": padding,
        "groups": groups,
        "channels": (groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))),
        "size": tuple(size),
        "batch": draw(st.integers(1, 2)),
        "way": draw(st.sampled_from(["half_pixel", "asymmetric", "repeat", "take", "broadcast"])),
        "between": draw(st.sampled_from(["nothing", "relu", "bias and tanh"])),
        "layout": draw(st.sampled_from(["NCHW", "NHWC"])),
        "dtype": draw(st.sampled_from(["float32", "float16"])),
        "seed": draw(st.integers(0, 2**16)),
    }


@st.composite
def concat_cases(draw):
    """A Concat of up to five inputs, some resized; any of them may be a Concat of two itself."""
    kernel = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    mode = draw(st.sampled_from(["none", "constant", "reflect", "replicate"]))
    inputs = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    # By how much the large map of 6x12 pixels is larger than this input.
                    "factor": st.sampled_from([(1, 1), (2, 2), (3, 3), (2, 3), (1, 2)]),
                    "channels": st.integers(1, 3),
                    "between": st.sampled_from(["nothing", "relu", "bias and tanh"]),
                    "nested": st.sampled_from([False, False, True]),
                }
            ),
            min_size=2,
            max_size=5,
        ).filter(lambda inputs: any(each["factor"] != (1, 1) for each in inputs))
    )
    return {
        "kernel": kernel,
        "mode": mode,
        "padding": tuple(draw(st.integers(0, kernel[i % 2] - 1)) for i in range(4)),
        "inputs": inputs,
        "after": draw(st.sampled_from(["nothing", "relu", "prelu", "bias and tanh"])),
        "grouped": draw(st.sampled_from([False, False, True])),
        "outputs": draw(st.integers(1, 3)),
        "batch": draw(st.integers(1, 2)),
        "way": draw(st.sampled_from(["half_pixel", "asymmetric", "repeat", "take", "broadcast"])),
        "layout": draw(st.sampled_from(["NCHW", "NHWC"])),
        "dtype": draw(st.sampled_from(["float32", "float16"])),
        "seed": draw(st.integers(0, 2**16)),
    }


@st.composite
def bilinear_cases(draw):
    factor = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)).filter(lambda f: f != (1, 1)))
    # From the kernel of which on the fold takes no more products than the two layers.
    kernel = [draw(st.integers(1 if r == 1 else 3, 5)) for r in factor]
    dilation = draw(st.sampled_from([(1, 1), (1, 1), (1, 2), (2, 1)]))
    reach = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)] * 2
    mode = draw(st.sampled_from(["none", "constant", "replicate"]))
    pad = [0 if mode == "none" else draw(st.integers(0, side)) for side in reach]
    zeros = [draw(st.integers(0, side - p)) for side, p in zip(reach, pad, strict=True)]
    groups = draw(st.sampled_from([1, 1, 2]))
    return {
        "factor": factor,
        "kernel": kernel,
        "dilation": dilation,
        "mode": mode,
        "pad": pad,
        "zeros": zeros,
        "groups": groups,
        "channels": (groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))),
        "size": [-(-(reach[i] + 1) // factor[i]) + draw(st.integers(2, 5)) for i in range(2)],
        "between": draw(st.sampled_from(["nothing", "scale", "batch norm"])),
        "layout": draw(st.sampled_from(["NCHW", "NHWC"])),
        "dtype": draw(st.sampled_from(["float32", "float16"])),
        "seed": draw(st.integers(0, 2**16)),
    }
