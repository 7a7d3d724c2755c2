"""Arithmetic and words of every algorithm: what the time and energy model is fed with.

Symbols: N batch, I and O input and output channels, g groups, H x W input, OH x OW output, r_h and
r_w factors (strides), K the kernel of the original convolution and D that of the transposed one
(rK behind D-SP, K+r-1 behind D-NN), T the taps of its longest phase, ceil(D/r). Products of both
axes are written as squares. Taps that a dilated kernel lacks are in neither D nor T, as far as
``geometry`` leaves them out. A word is one element of the layer's dtype; bias is not counted.

``counts`` gives what a loop nest without tests does, as the authors' data-reuse functions
(``upsampling/data_reuse.py`` of github.com/icolbert/upsampling at commit 9253182; formulas of arXiv
2107.07647, IEEE Access 2021) have it for I = O = C, a square input, g = 1 and paddings that keep
the size:

    algorithm  multiply-adds         weights        read         written     processing
    subpixel   N O H'² r² K² I/g     r² K² O I/g    N I H²       N O OH²     2 N O OH² (shuffle)
    resize     N O OH² K² I/g        K² O I/g       N I (rH)²    N O OH²     N I (H² + (rH)²)
    stdd       N I H² D² O/g         D² O I/g       N I H²       N O OH²
    strd       N O OH² D² I/g        D² O I/g       N I Z²       N O OH²
    revd       N O Y² D² I/g         D² O I/g       N I H²       N O OH²
    revd2      N O OH² T² I/g        D² O I/g       N I H²       N O OH²
    tdc        N O Y² r² T² I/g      r² T² O I/g    N I H²       N O OH²

with H' = OH/r the output of the convolution before a shuffle, Z = r(H-1)+1 the samples of the
input with zeros between them, and Y = ceil(OH/r) the steps of a loop over the output by r. For
paddings that keep the size H' = Y = H. What these counts assume, as the functions do:

- every tap meets a sample: products with the zeros of a padding, and of outputs that are cropped
  (stdd), count like others;
- revd2 and tdc do T taps for each output, also for phases with fewer (D-NN where r does not divide
  K-1), and tdc keeps the missing weights as zeros;
- every word moves once between a kernel and memory, whatever its order of loops: stdd's
  overlapping sums count once;
- strd reads its map with zeros, but what inserts them is not counted, nor what interleaves tdc's
  phases.

``exact_counts`` has the same words to read and write and differs where these assumptions do: only
products of a sample and a weight that exist are counted (for strd samples include the inserted
zeros, for resize the copies; weights that a dilation leaves zero do not exist), tdc keeps no zero
weights, and ``processing`` includes strd's insertion (reads N I H², writes N I Z²) and tdc's
interleave (reads and writes N O OH²) as passes of their own. ``winograd`` counts the one algorithm
of ours that the paper does not have.

For another width than height the authors' strd still squares the height; here it is Z_h Z_w.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass, replace
from math import prod
from operator import add
from typing import Literal, NamedTuple, get_args

from tvm_deconv.algebra.geometry import Axis, ConvAxis, axis_of_convolution
from tvm_deconv.errors import VariantError

from .operators import Operator, Origin, bytes_of

Deconvolution = Literal["stdd", "strd", "revd", "revd2", "tdc"]
DECONVOLUTIONS: tuple[Deconvolution, ...] = get_args(Deconvolution)
"""The paper's algorithms for a transposed convolution, of any origin."""

Algorithm = Literal["subpixel", "resize", "conv"] | Deconvolution

ORIGINAL: dict[Origin, Algorithm] = {"subpixel": "subpixel", "nearest": "resize", "conv": "conv"}
"""What computes the operator that a network has, before any rewrite. A transposed convolution has
no such entry: which algorithm computes it depends on the library (TVM's own is strd)."""


@dataclass(frozen=True)
class Counts:
    """Multiply-adds, words and bytes of one operator, or of several: counts can be added.

    ``activation`` is what the convolution reads and writes, ``processing`` what passes before or
    behind it read and write (shuffle, resize, insertion of zeros, interleave).
    """

    multiply_adds: int = 0
    weight_words: int = 0
    activation_words_read: int = 0
    activation_words_written: int = 0
    processing_words_read: int = 0
    processing_words_written: int = 0
    weight_bytes: int = 0
    activation_bytes: int = 0
    processing_bytes: int = 0

    @property
    def activation_words(self) -> int:
        return self.activation_words_read + self.activation_words_written

    @property
    def processing_words(self) -> int:
        return self.processing_words_read + self.processing_words_written

    @property
    def words(self) -> int:
        return self.weight_words + self.activation_words + self.processing_words

    @property
    def bytes(self) -> int:
        return self.weight_bytes + self.activation_bytes + self.processing_bytes

    def __add__(self, other: Counts) -> Counts:
        return Counts(*map(add, astuple(self), astuple(other)))


def in_bytes(words: Counts, word_bytes: int, weight_word_bytes: int) -> Counts:
    """``words`` with its bytes, for words of that many."""
    return replace(
        words,
        weight_bytes=words.weight_words * weight_word_bytes,
        activation_bytes=words.activation_words * word_bytes,
        processing_bytes=words.processing_words * word_bytes,
    )


def total(parts: Iterable[Counts]) -> Counts:
    """The sum of all; of none, zeros."""
    return sum(parts, Counts())


def counts(operator: Operator, algorithm: Algorithm) -> Counts:
    """The table above: products and words as the paper counts them.

    Raises VariantError for an algorithm that is not known or does not compute such an operator.
    """
    passes = algorithm if algorithm in ("subpixel", "resize") else None
    return _counts(operator, algorithm, _paper_axis, passes)


def exact_counts(operator: Operator, algorithm: Algorithm) -> Counts:
    """Only products of samples and weights that exist, and every pass over memory: see above.

    Raises VariantError for an algorithm that is not known or does not compute such an operator.
    """
    return _counts(operator, algorithm, _exact_axis, algorithm)


def convolution_counts(
    in_channels: int,
    out_channels: int,
    kernel: Sequence[int],
    input_size: Sequence[int],
    output_size: Sequence[int],
    *,
    groups: int = 1,
    batch: int = 1,
) -> Counts:
    """Any other convolution of a network, of any stride: every output meets every tap.

    ``kernel`` are the taps, along height and width or along depth, height and width. Bytes are
    those of float32.
    """
    per_output = in_channels // groups * prod(kernel)
    outputs = batch * out_channels * prod(output_size)
    inputs = batch * in_channels * prod(input_size)
    word = bytes_of("float32")
    found = Counts(outputs * per_output, out_channels * per_output, inputs, outputs)
    return in_bytes(found, word, word)


class _AxisCounts(NamedTuple):
    """Along one axis, for one pair of channels: products, weights, and samples that are read."""

    products: int
    weights: int
    samples: int


def _counts(
    operator: Operator,
    algorithm: Algorithm,
    along: Callable[[Algorithm, Axis, ConvAxis | None, int], _AxisCounts],
    passes: Algorithm | None,
) -> Counts:
    _check(operator, algorithm)
    conv, batch = operator.conv, operator.batch
    originals = operator.original or (None, None)
    sizes = operator.height, operator.width
    h, w = map(along, (algorithm,) * 2, (conv.h, conv.w), originals, sizes)
    outputs = prod(operator.output_shape)
    pairs = conv.out_channels * conv.group_inputs
    read, written = _processing(operator, passes)
    found = Counts(
        multiply_adds=batch * pairs * h.products * w.products,
        weight_words=pairs * h.weights * w.weights,
        activation_words_read=batch * conv.in_channels * h.samples * w.samples,
        activation_words_written=outputs,
        processing_words_read=read,
        processing_words_written=written,
    )
    return in_bytes(found, operator.word_bytes, operator.weight_word_bytes)


def _paper_axis(
    algorithm: Algorithm, axis: Axis, original: ConvAxis | None, size: int
) -> _AxisCounts:
    stride, out = axis.stride, axis.output_size(size)
    steps = -(-out // stride)
    kernel = 0 if original is None else original.kernel
    if algorithm in ("subpixel", "conv"):
        return _AxisCounts(out * kernel, stride * kernel, size)
    if algorithm == "resize":
        return _AxisCounts(out * kernel, kernel, stride * size)
    if algorithm == "strd":
        taps = _dense(axis).useful_taps
        return _AxisCounts(out * taps, taps, _with_zeros(stride, size))
    taps, padded = axis.useful_taps, stride * axis.max_taps
    if algorithm == "tdc":
        return _AxisCounts(steps * padded, padded, size)
    products = {"stdd": size * taps, "revd": steps * taps, "revd2": out * axis.max_taps}
    return _AxisCounts(products[algorithm], taps, size)


def _exact_axis(
    algorithm: Algorithm, axis: Axis, original: ConvAxis | None, size: int
) -> _AxisCounts:
    nominal = _paper_axis(algorithm, axis, original, size)
    if algorithm == "resize":
        assert original is not None
        flipped = axis_of_convolution(original)
        return nominal._replace(products=_products(flipped, nominal.samples))
    live = axis.kernel - len(axis.zero_taps)
    if algorithm == "strd":
        return nominal._replace(products=_products(_dense(axis), nominal.samples), weights=live)
    weights = nominal.weights if algorithm in ("subpixel", "conv") else live
    return nominal._replace(products=_products(axis, size), weights=weights)


def _products(axis: Axis, size: int) -> int:
    """Pairs of an output and a tap that has a weight and reads a sample within the input."""
    out, total = axis.output_size(size), 0
    for phase in range(axis.stride):
        blocks = -(-(out - phase) // axis.stride)
        for tap in axis.taps(phase):
            if tap.k not in axis.zero_taps:
                total += max(min(blocks, size - tap.offset) - max(0, -tap.offset), 0)
    return total


def _processing(operator: Operator, passes: Algorithm | None) -> tuple[int, int]:
    """Words that the pass before or behind the convolution reads and writes."""
    conv, outputs = operator.conv, prod(operator.output_shape)
    inputs = prod(operator.input_shape)
    if passes in ("subpixel", "tdc"):
        return outputs, outputs
    if passes == "resize":
        return inputs, inputs * conv.h.stride * conv.w.stride
    if passes == "strd":
        rows = _with_zeros(conv.h.stride, operator.height)
        columns = _with_zeros(conv.w.stride, operator.width)
        return inputs, operator.batch * conv.in_channels * rows * columns
    return 0, 0


def _check(operator: Operator, algorithm: Algorithm) -> None:
    original = ORIGINAL.get(operator.origin)
    possible = DECONVOLUTIONS if original is None else (original, *DECONVOLUTIONS)
    if algorithm not in possible:
        raise VariantError(
            f"an operator of the origin {operator.origin!r} is computed by "
            f"{', '.join(possible)}, not by {algorithm!r}"
        )


def _dense(axis: Axis) -> Axis:
    """The same axis over the input with zeros between its samples."""
    return replace(axis, stride=1)


def _with_zeros(stride: int, size: int) -> int:
    return stride * (size - 1) + 1
