"""LSTM, GRU and RNN of ONNX files against ONNX Runtime, attribute by attribute and at random."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx import numpy_helper
from onnx_rows import Constant, Row, Table, c, floats, judged, model_of, row, run
from quick_network import compiled

import tvm_deconv
from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
FUNCTIONS = {"LSTM": 3, "GRU": 2, "RNN": 1}
# How many numbers a function takes: alpha, then beta.
NUMBERS = {
    "Affine": 2,
    "Elu": 1,
    "HardSigmoid": 2,
    "LeakyRelu": 1,
    "Relu": 0,
    "ScaledTanh": 2,
    "Sigmoid": 0,
    "Softplus": 0,
    "Softsign": 0,
    "Tanh": 0,
    "ThresholdedRelu": 1,
}


def weights(*shape: int) -> Constant:
    """Small enough that a state does not grow from step to step, whatever the function."""
    return c(floats(*shape) / (2 * shape[-1]))


def layer(
    kind: str,
    steps: int = 5,
    rows: int = 2,
    features: int = 3,
    hidden: int = 4,
    *,
    bias: bool = True,
    lengths: list[int] | None = None,
    state: bool = False,
    cell: bool = False,
    peepholes: bool = False,
    free: tuple[int, ...] = (),
    **attributes,
) -> Row:
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    width = GATES[kind] * hidden
    operands = [
        floats(steps, rows, features),
        weights(directions, width, features),
        weights(directions, width, hidden),
        c(floats(directions, 2 * width) / 2) if bias else None,
        None if lengths is None else np.array(lengths, "int32"),
        floats(directions, rows, hidden) if state else None,
    ]
    if kind == "LSTM":
        operands.append(floats(directions, rows, hidden) if cell else None)
        operands.append(weights(directions, 3 * hidden) if peepholes else None)
    while operands[-1] is None:
        operands.pop()
    outputs = 3 if kind == "LSTM" else 2
    given = {"hidden_size": hidden, **attributes}
    return row(kind, *operands, opset=14, outputs=outputs, free=free, **given)


def at_random(seed: int) -> Row:
    rng = np.random.default_rng(seed)

    def one_of(*values):
        return values[rng.integers(len(values))]

    kind, direction = one_of(*GATES), one_of("forward", "reverse", "bidirectional")
    steps, rows = one_of(1, 2, 6), one_of(1, 1, 2, 3, 5)
    options = {"direction": direction}
    if one_of(0, 0, 1):
        options["clip"] = one_of(0.3, 2.0)
    if kind == "GRU":
        options["linear_before_reset"] = one_of(0, 1)
    if kind == "LSTM":
        options["input_forget"] = one_of(0, 0, 1)
    if one_of(0, 1):
        count = FUNCTIONS[kind] * (2 if direction == "bidirectional" else 1)
        names = [one_of(*NUMBERS) for _ in range(count)]
        options["activations"] = names
        for number, name in enumerate(("activation_alpha", "activation_beta")):
            takers = [each for each in names if NUMBERS[each] > number]
            if takers:
                options[name] = [float(rng.uniform(0.1, 0.9)) for _ in takers]
    lengths = [int(rng.integers(1, steps + 1)) for _ in range(rows)]
    return layer(
        kind,
        steps,
        rows,
        one_of(1, 5),
        one_of(1, 3, 8, 16, 23, 40),
        bias=one_of(False, True),
        lengths=one_of(None, lengths),
        state=one_of(False, True),
        cell=one_of(False, True),
        peepholes=one_of(False, False, True),
        free=one_of((), (0,)),
        **options,
    )


TABLE = Table(
    [
        *(layer(kind, direction=d) for kind in GATES for d in ("forward", "bidirectional")),
        *(layer(kind, hidden=hidden, rows=1) for kind in GATES for hidden in (1, 17, 100)),
        layer("LSTM", peepholes=True, cell=True, state=True, clip=0.5),
        layer("LSTM", direction="reverse", lengths=[2, 5], peepholes=True, state=True),
        layer("LSTM", input_forget=1),
        layer("GRU", linear_before_reset=1, state=True, free=(0,)),
        layer("GRU", linear_before_reset=1, direction="bidirectional", lengths=[5, 1]),
        layer("RNN", activations=["Relu"], free=(0,)),
        *map(at_random, range(30)),
    ]
)


@pytest.mark.parametrize("one", TABLE.rows, ids=str)
def test_a_layer_is_what_onnx_runtime_computes(one):
    TABLE.check(one)


@pytest.mark.parametrize("kind", GATES)
def test_layout_1_has_the_rows_first(kind):
    """ONNX Runtime refuses it: the same layer by steps, turned."""
    one = layer(kind, 4, 3, direction="bidirectional", state=True, cell=True)
    x, *rest = one.operands
    turned = [
        operand.swapaxes(0, 1) if isinstance(operand, np.ndarray) else operand for operand in rest
    ]
    other = row(
        kind,
        x.swapaxes(0, 1),
        *turned,
        opset=14,
        outputs=one.outputs,
        layout=1,
        **one.attributes,
    )
    states, *last = judged([one])
    expected = [states.transpose(2, 0, 1, 3), *(each.swapaxes(0, 1) for each in last)]
    for got, wanted in zip(run([other]), expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=2e-6)


@pytest.mark.parametrize("kind", GATES)
def test_one_build_serves_batches_of_any_size(kind):
    model, _ = model_of([layer(kind, 3, 2, direction="bidirectional", free=(0, 1))])
    function = compiled(model)
    for steps, rows in ((1, 1), (7, 4), (2, 5)):
        one = layer(kind, steps, rows, direction="bidirectional")
        same = Row(kind, (one.operands[0], *_weights(model)), 14, one.outputs, (), "ort", {})
        same.attributes.update(one.attributes)
        got = function(tvm.runtime.tensor(one.operands[0]))
        for ours, theirs in zip(got, judged([same]), strict=True):
            np.testing.assert_allclose(ours.numpy(), theirs, atol=2e-6)


def _weights(model):
    return [c(numpy_helper.to_array(tensor)) for tensor in model.graph.initializer]


def test_float64_is_computed_as_such():
    one = layer("LSTM", 3, 2, hidden=9, direction="bidirectional")
    double = [
        None if o is None else (c(o.array, "float64") if isinstance(o, Constant) else o.astype("d"))
        for o in one.operands
    ]
    rows = [row("LSTM", *double, opset=14, outputs=3, **one.attributes)]
    for got, expected in zip(run(rows), judged([one]), strict=True):
        assert got.dtype == np.float64
        np.testing.assert_allclose(got, expected, atol=1e-6)


REFUSED = [
    (layer("RNN", activations=["Square"]), "the activation 'Square' is not computed"),
    (layer("LSTM", activations=["Tanh"]), "activations are Tanh: 3 are needed for each direction"),
    (layer("RNN", direction="backward"), "direction is 'backward'"),
    (layer("GRU", clip=-1.0), "clip is -1"),
    (layer("GRU", activation_alpha=[0.5]), "hold 1 numbers that nothing takes"),
    (layer("RNN", activations=["Affine"]), "Affine has no alpha of its own: give activation_alpha"),
]


@pytest.mark.parametrize(("one", "reason"), REFUSED, ids=lambda value: str(value)[:50])
def test_what_is_not_computed_is_refused_in_words(one, reason):
    with pytest.raises(ModelError, match=reason) as caught:
        load(model_of([one])[0])
    assert "\n" not in str(caught.value)


def test_float16_is_computed_in_float32():
    one = layer("GRU", lengths=[4, 2])
    half = [_half(operand) for operand in one.operands]
    wide = [_half(operand, "float32") for operand in half]
    narrow, single = (
        row("GRU", *operands, opset=14, outputs=2, **one.attributes) for operands in (half, wide)
    )
    for got, expected in zip(run([narrow]), judged([single]), strict=True):
        assert got.dtype == np.float16
        np.testing.assert_allclose(got, expected, atol=1e-3)


def _half(operand, dtype="float16"):
    if isinstance(operand, Constant):
        return c(operand.array, dtype)
    return operand if operand.dtype == np.int32 else operand.astype(dtype)


def test_it_is_refused_for_a_gpu():
    with pytest.raises(ModelError, match="LSTM is computed on processors only: choose one"):
        tvm_deconv.compile(model_of([layer("LSTM")])[0], "arm/mali-g52")


def test_lengths_that_are_known_are_checked():
    one = layer("GRU", 5, 2, lengths=[2, 6])
    operands = [*one.operands[:4], c(one.operands[4])]
    wrong = row("GRU", *operands, opset=14, outputs=2, **one.attributes)
    with pytest.raises(ModelError, match=r"sequence_lens are \[2, 6\], of 5 steps"):
        load(model_of([wrong])[0])
