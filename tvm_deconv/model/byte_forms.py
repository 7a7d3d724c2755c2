"""Counts of the forms in which bytes take fewer products: Winograd's, and unfolded taps.

``exact_winograd`` makes, along an axis, m outputs of each of r phases from p samples by c products,
p r, or 2r + 1 where phases of two taps share one; t = ceil((blocks + s) / m) tiles cover the output
of phases that start at most s samples apart. m and p are 2 and 3 for two taps, 4 and 6 for three.
``unfolding`` takes the products of the kernel without the resize, K for each sample, and adds up r
outputs of K sums each. With the symbols of ``counts`` and squares for both axes:

                Winograd's                              unfolded taps
    products    N t² c² O I                             N H² K² O I
    weights     c² O I                                  K² O I
    transform   reads N I H², writes N I t² p²          none
    sums        read N I t² p², write N O t² c²         read N I H², write N O H² K²
    outputs     read those, write N O OH²               read those, write N O OH²

The first and the last line of words are ``processing``, the sums ``activation``, as for
``winograd``; transformed samples are int16, sums int32. What is added in the transforms, and to
outputs, counts as products by 1, shifts among it, along the width after the height. Both kernels
keep what is between input and output in a cache.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from operator import attrgetter

from tvm_deconv.algebra import exact_winograd, unfolding
from tvm_deconv.algebra.byte_forms import Forms
from tvm_deconv.algebra.exact_winograd import F22, Scheme
from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.errors import VariantError

from .counts import Counts
from .operators import Operator, bytes_of

_TRANSFORMED, _SUM = bytes_of("int16"), bytes_of("int32")


@dataclass(frozen=True)
class FormCounts(Counts):
    """``products`` are those multiply-adds that multiply integers, not by 1."""

    products: int = 0


def least_counts(operator: Operator, forms: Forms) -> tuple[FormCounts, str] | None:
    """Of the form that our kernels take, and the dtype of its weights; None for tap by tap.

    That is unfolded taps of bytes, as on processors that multiply four bytes at a time, else what
    takes the fewest products. F(4x4, 3x3) is left out, as Winograd's algorithm of floats is:
    whether it pays depends on the processor. ``operator`` has the dtypes of tap by tap.
    """
    if forms.unfolded == 8:
        return unfolded_counts(replace(operator, weight_dtype="int8")), "int8"
    wide = replace(operator, weight_dtype="int16")
    found = []
    if forms.winograd is not None and _has_phases_of_two(operator):
        found.append(exact_winograd_counts(wide, shared=forms.winograd))
    if forms.unfolded is not None:
        found.append(unfolded_counts(wide))
    return (min(found, key=attrgetter("products")), "int16") if found else None


def exact_winograd_counts(operator: Operator, *, shared: bool) -> FormCounts:
    """Counts of Winograd's form; ``shared`` says that phases share the products at 1.

    Raises VariantError for a layer that has no such form.
    """
    conv = operator.conv
    _check(exact_winograd.refusal(conv), "Winograd's form of bytes")
    h, w = exact_winograd.products_of(conv, shared)
    down, across = h.scheme, w.scheme
    tiles = operator.batch * _tiles(conv.h, down, operator.height)
    tiles *= _tiles(conv.w, across, operator.width)
    samples = conv.in_channels * tiles * down.points * across.points
    sums = conv.out_channels * tiles * h.count * w.count
    weights = h.count * w.count * conv.in_channels * conv.out_channels
    of_samples, of_outputs = exact_winograd.additions(conv, shared)
    spread = conv.in_channels * tiles * of_samples
    gather = conv.out_channels * tiles * of_outputs
    found = FormCounts(
        products=tiles * weights,
        multiply_adds=tiles * weights + spread + gather,
        weight_words=weights,
        activation_words_read=samples,
        activation_words_written=sums,
        processing_words_read=prod(operator.input_shape) + sums,
        processing_words_written=samples + prod(operator.output_shape),
    )
    return replace(
        found,
        weight_bytes=weights * operator.weight_word_bytes,
        activation_bytes=samples * _TRANSFORMED + sums * _SUM,
        processing_bytes=samples * _TRANSFORMED + sums * _SUM + _outside_bytes(operator),
    )


def unfolded_counts(operator: Operator) -> FormCounts:
    """Counts of the products of the kernel without the resize that was folded into it.

    Raises VariantError for a layer that has no such form.
    """
    conv = operator.conv
    _check(unfolding.refusal(conv), "unfolded taps")
    rows, columns = unfolding.taps(conv.h), unfolding.taps(conv.w)
    places = operator.batch * operator.height * operator.width
    sums = conv.out_channels * places * rows * columns
    weights = rows * columns * conv.in_channels * conv.out_channels
    terms = rows * conv.w.stride * (columns + conv.h.stride)
    gather = conv.out_channels * places * terms
    found = FormCounts(
        products=places * weights,
        multiply_adds=places * weights + gather,
        weight_words=weights,
        activation_words_read=prod(operator.input_shape),
        activation_words_written=sums,
        processing_words_read=sums,
        processing_words_written=prod(operator.output_shape),
    )
    outputs = prod(operator.output_shape) * operator.word_bytes
    return replace(
        found,
        weight_bytes=weights * operator.weight_word_bytes,
        activation_bytes=_outside_bytes(operator) - outputs + sums * _SUM,
        processing_bytes=sums * _SUM + outputs,
    )


def _has_phases_of_two(operator: Operator) -> bool:
    conv = operator.conv
    return exact_winograd.schemes_of(conv) == (F22, F22) and min(conv.strides) > 1


def _check(reason: str | None, form: str) -> None:
    if reason is not None:
        raise VariantError(f"{form} does not compute this operator: {reason}")


def _tiles(axis: Axis, scheme: Scheme, size: int) -> int:
    return -(-(axis.blocks(size) + max(axis.shifts)) // scheme.outputs)


def _outside_bytes(operator: Operator) -> int:
    """Of the input and the output."""
    return (prod(operator.input_shape) + prod(operator.output_shape)) * operator.word_bytes
