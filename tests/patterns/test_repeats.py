"""A map that is added for every phase before the shuffle is added nearest-resized after it."""

from __future__ import annotations

import numpy as np
import pytest
from relax_helpers import (
    assert_close,
    assert_refused,
    assert_rewritten_in_nhwc,
    compiled,
    constant,
    conv,
    evaluate,
    module,
    operators,
    shuffle,
)
from tvm import relax

from tvm_deconv.transform import rewrite_upsampling

SHAPE = (2, 3, 5, 7)


def repeated(b, x, count, way, order="DCR", layout="NCHW"):
    """Each channel ``count`` times: side by side for CRD, all of them again for DCR."""
    at = layout.index("C")
    sizes = list(x.ty.shape.values)
    channels = int(sizes[at].value)
    indices = np.arange(channels).repeat(count) if order == "CRD" else None
    if way == "concat":
        if order == "DCR":
            return b.emit(relax.op.concat([x] * count, axis=at))
        one = [b.emit(relax.op.take(x, constant(np.array([c])), axis=at)) for c in range(channels)]
        return b.emit(relax.op.concat([y for y in one for _ in range(count)], axis=at))
    if way == "take":
        indices = np.tile(np.arange(channels), count) if indices is None else indices
        return b.emit(relax.op.take(x, constant(indices), axis=at))
    if way == "plain":
        if order == "CRD":
            return b.emit(relax.op.repeat(x, count, axis=at))
        return b.emit(relax.op.tile(x, [count if name == "C" else 1 for name in layout]))
    place = at if order == "DCR" else at + 1
    narrow = b.emit(relax.op.expand_dims(x, [place]))
    wide = [*sizes[:place], count, *sizes[place:]]
    if way == "tile":
        spread = b.emit(relax.op.tile(narrow, [count if i == place else 1 for i in range(5)]))
    else:
        assert way == "broadcast"
        spread = b.emit(relax.op.broadcast_to(narrow, wide))
    merged = [*sizes[:at], channels * count, *sizes[at + 1 :]]
    return b.emit(relax.op.reshape(spread, merged))


WAYS = ("concat", "take", "plain", "tile", "broadcast")


@pytest.mark.parametrize("order", ["CRD", "DCR"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("factor", [(2, 2), (3, 1), (2, 3)])
def test_the_rewritten_module_equals_the_original_in_float64(way, order, factor):
    count = factor[0] * factor[1]

    def body(b, x):
        y = b.emit(relax.op.nn.relu(conv(b, x, 4)))
        y = conv(b, y, 3 * count)
        bias = constant(np.arange(3 * count, dtype="float32").reshape(1, -1, 1, 1))
        y = b.emit(relax.op.add(repeated(b, x, count, way, order), b.emit(relax.op.add(y, bias))))
        return shuffle(b, y, factor, order)

    mod = module(body, SHAPE)
    new, report = rewrite_upsampling(mod)
    (layer,) = report.rewritten
    assert layer.after.endswith(f" + resize {factor[0]}x{factor[1]}")
    # The values per phase are added first: a kernel adds a tensor where it has four axes.
    assert operators(new)[-5:] == ["image.resize2d", "reshape", "add", "reshape", "add"] or (
        operators(new)[-1] == "add" and not {"permute_dims", "tile"} & set(operators(new))
    )
    x = np.random.default_rng(5).standard_normal(SHAPE)
    assert_close(evaluate(new, x), evaluate(mod, x), "float32")


def test_operators_behind_the_sum_may_have_a_constant_for_every_phase():
    def body(b, x):
        y = b.emit(relax.op.subtract(repeated(b, x, 4, "take"), conv(b, x, 12)))
        y = b.emit(relax.op.nn.prelu(y, constant(np.linspace(0, 1, 12).astype("float32"))))
        return shuffle(b, y, (2, 2), "DCR")

    mod = module(body, SHAPE)
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    x = np.random.default_rng(5).standard_normal(SHAPE)
    assert_close(evaluate(new, x), evaluate(mod, x), "float32")


def test_sizes_may_be_free():
    def body(b, x):
        y = b.emit(relax.op.add(conv(b, x, 12), b.emit(relax.op.concat([x] * 4, axis=1))))
        return shuffle(b, y, (2, 2), "DCR")

    mod = module(body, (1, 3, "h", "w"))
    new, report = rewrite_upsampling(mod)
    assert len(report.rewritten) == 1, report
    x = np.random.default_rng(5).standard_normal((1, 3, 4, 5)).astype("float32")
    np.testing.assert_allclose(compiled(new, x), compiled(mod, x), rtol=0, atol=2e-5)


def test_layouts_that_convert_layout_leaves_are_seen_through():
    def body(b, x):
        y = b.emit(relax.op.add(conv(b, x, 12), repeated(b, x, 4, "concat")))
        return shuffle(b, y, (2, 2), "DCR")

    assert_rewritten_in_nhwc(module(body, SHAPE), SHAPE)


def wrong_order(b, x):
    y = b.emit(relax.op.add(conv(b, x, 12), repeated(b, x, 4, "concat", "DCR")))
    return shuffle(b, y, (2, 2), "CRD")


def another_tensor(b, x):
    other = b.emit(relax.op.concat([x, x, x, b.emit(relax.op.exp(x))], axis=1))
    return shuffle(b, b.emit(relax.op.add(conv(b, x, 12), other)), (2, 2), "DCR")


def other_channels(b, x):
    flipped = b.emit(relax.op.take(x, constant(np.tile([2, 1, 0], 4)), axis=1))
    return shuffle(b, b.emit(relax.op.add(conv(b, x, 12), flipped)), (2, 2), "DCR")


def copies_alone(b, x):
    return shuffle(b, b.emit(relax.op.nn.relu(repeated(b, x, 4, "concat"))), (2, 2), "DCR")


def copies_of_the_convolution(b, x):
    y = conv(b, x, 12)
    some = b.emit(relax.op.strided_slice(y, [1], [0], [3]))
    return shuffle(b, b.emit(relax.op.add(y, repeated(b, some, 4, "concat"))), (2, 2), "DCR")


REFUSED = {
    "wrong_order": "pointwise operators join relax.nn.conv2d (lv) and relax.concat (lv1)",
    "another_tensor": "pointwise operators join",
    "other_channels": "pointwise operators join relax.take (lv) and relax.nn.conv2d (lv1)",
    "copies_alone": "input is not a convolution: relax.concat (lv)",
    "copies_of_the_convolution": "relax.nn.conv2d (lv) is also read by relax.strided_slice (lv1)",
}


@pytest.mark.parametrize("layer", REFUSED)
def test_a_refusal_names_its_reason_and_leaves_the_graph_alone(layer):
    assert_refused(module(globals()[layer], SHAPE), REFUSED[layer])
