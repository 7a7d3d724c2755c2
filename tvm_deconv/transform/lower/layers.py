"""Which variant computes each convolution of a module, and which are left to TVM.

``LowerConvolutions`` acts on the choice, ``explain_kernels`` says it.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from tvm import relax

from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.choice import Choice
from tvm_deconv.schedules.chooser import Chooser, Kind
from tvm_deconv.schedules.cpu.depthwise.variant import DEPTHWISE
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.machines import Machine, variants_for
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.size_errors import readable
from tvm_deconv.transform.graph import Graph, dtype_of, known_sizes, shape_of

from .epilogue import Epilogue, collect
from .read import Convolution, read
from .volumes import read_volume

# Products of a sum from which on a convolution with strides is worth a kernel of its own.
_LONG_SUM = 48

# Taps along an axis that are phases of a single pixel, at most: more would have to be written out.
_MOST_TAPS = 8


@dataclass(frozen=True)
class LoweredLayer:
    """A convolution of ``graph``, what is stored with it, and what computes it.

    With an ``activation`` (``activations``) the kernel computes that of what it reads, too.
    """

    graph: Graph
    conv: Convolution
    epilogue: Epilogue
    choice: Choice
    activation: relax.Call | None = None

    @property
    def source(self) -> relax.Expr:
        """What the kernel reads: the layer's data, or what their ``activation`` is computed of."""
        return self.conv.data if self.activation is None else self.activation.args[0]


@dataclass(frozen=True)
class RefusedLayer:
    """A convolution ``var`` of ``graph`` that is left to TVM."""

    graph: Graph
    var: relax.Var
    reason: str


def layers_of(graph: Graph, chooser: Chooser) -> list[LoweredLayer | RefusedLayer]:
    """All convolutions of a function in order.

    Each has the choice that it would get alone, without a budget. One over volumes is a layer for
    each phase of its depth.
    """
    found: list[LoweredLayer | RefusedLayer] = []
    taken: set[relax.Var] = set()
    for var in graph.order:
        convs = convolutions_of(graph, var, chooser.machine) if var in graph.live else ()
        if isinstance(convs, Refused):
            found.append(RefusedLayer(graph, var, convs.reason))
        elif convs:
            epilogue = collect(graph, convs[0], taken)
            taken.update(epilogue.members)
            found += [LoweredLayer(graph, c, epilogue, chooser.choice(kind_of(c))) for c in convs]
    return found


def convolutions_of(
    graph: Graph, var: relax.Var, machine: Machine
) -> tuple[Convolution, ...] | Refused:
    """The layers that compute ``var`` together; none if it is no convolution.

    Refused says why it is left to TVM.
    """
    convs = read_volume(graph, var)
    if convs is None:
        conv = read(graph, var, strided=isinstance(machine, CpuMachine))
        if conv is None or isinstance(conv, Refused):
            return conv or ()
        if isinstance(machine, CpuMachine) and conv.step != (1, 1):
            return _with_step(graph, conv, machine)
        return (_of_one_pixel(conv),)
    if not isinstance(machine, CpuMachine):
        return Refused(f"{graph.describe(var)} has three dimensions: our kernels are for CPUs")
    return convs


def _of_one_pixel(conv: Convolution) -> Convolution:
    """A layer over single pixels, as the first of a DCGAN: each tap makes an output of its own.

    Then the stride says nothing, and with that of the kernel no output reads beyond the pixel.
    """
    _, _, height, width = conv.picture
    h, w = conv.op.h, conv.op.w
    taps = h.kernel, w.kernel
    is_plain = (h.dilation, w.dilation, *conv.op.padding) == (1, 1, 0, 0, 0, 0)
    if (height, width) != (1, 1) or not is_plain or max(taps) > _MOST_TAPS:
        return conv
    h, w = (
        replace(axis, stride=axis.kernel, zero_taps=frozenset(), equal_sums=False)
        for axis in (h, w)
    )
    return replace(conv, op=replace(conv.op, h=h, w=w))


def _with_step(
    graph: Graph, conv: Convolution, machine: CpuMachine
) -> tuple[Convolution, ...] | Refused:
    """The layer of a convolution with strides, unless TVM's nest is better.

    Depthwise ones have a variant of their own. Of others, a vector is made of output channels of a
    group. Of short sums, such as the 27 products of 3x3 taps of a picture, transposing takes as
    long: 0.37 and 0.27 ms for 3->32 at 224x224.
    """
    op, few = conv.op, machine.lanes // 2
    stepped = replace(conv, op=replace(op, step=conv.step))
    if DEPTHWISE.cannot(stepped.op) is None:
        return (stepped,)
    products = op.group_inputs * op.h.useful_taps * op.w.useful_taps
    name = f"{graph.describe(conv.var)} has strides and"
    if op.group_outputs < few:
        return Refused(f"{name} {op.group_outputs} output channels in a group, fewer than {few}")
    if products < _LONG_SUM:
        return Refused(f"{name} sums of {products} products, fewer than {_LONG_SUM}")
    refusals = [v.cannot(stepped.op) for v in variants_for(machine).values() if v.has_steps]
    if None not in refusals:
        return Refused(f"{name} {'; '.join(map(str, refusals))}")
    return (stepped,)


def kind_of(conv: Convolution) -> Kind:
    """What the choice for a layer depends on; a symbolic size is not known."""
    n, _, h, w = known_sizes(conv.picture)
    return Kind(conv.op, Sizes(n, h, w), conv.dtype, conv.stack is not None)


def operator(graph: Graph, var: relax.Var) -> str:
    """``conv2d_transpose``, or ``conv1d_transpose`` where the model has that."""
    name = str(graph.op(var)).removeprefix("relax.nn.")
    return name.replace("2d", "1d") if graph.is_line(var) else name


def describe_layer(layer: LoweredLayer) -> str:
    """``describe``, and of a volume which of the phases of its depth."""
    words, stack = describe(layer.graph, layer.conv.var), layer.conv.stack
    if stack is None or stack.volume.d.stride == 1:
        return words
    return f"{words}, depth phase {stack.phase} of {stack.volume.d.stride}"


def describe(graph: Graph, var: relax.Var) -> str:
    """``conv2d_transpose 4x4 stride 2, 64->32, 128x128``: a convolution and its input's size.

    One that is of one dimension in the model: ``conv1d_transpose 16 stride 8, 64->32, 128``.
    """
    call = graph.value(var)
    attrs, (data, weight) = call.attrs, call.args
    spatial = str(attrs.data_layout).replace("N", "").replace("C", "")
    spatial = "W" if graph.is_line(var) else spatial
    batch, c_in, *size = _dims(data, attrs.data_layout, f"NC{spatial}")
    (c_out,) = _dims(var, attrs.out_layout or attrs.data_layout, "C")
    kernel = [operator(graph, var)]
    kernel.append("x".join(_dims(weight, attrs.kernel_layout, spatial)))
    for word, values in (("stride", attrs.strides), ("dilation", attrs.dilation)):
        pair = [int(n) for n in values][-len(spatial) :]
        if any(n != 1 for n in pair):
            kernel.append(f"{word} {pair[0] if len(set(pair)) == 1 else 'x'.join(map(str, pair))}")
    if int(attrs.groups) != 1:
        kernel.append(f"groups {attrs.groups}")
    words = [" ".join(kernel), f"{c_in}->{c_out}", ("x" if size[0].isdigit() else " x ").join(size)]
    if batch != "1":
        words.append(f"batch {batch}" if batch.isdigit() else "any batch")
    words += [dtype_of(data)] if dtype_of(data) != "float32" else []
    return ", ".join(words)


def short(parameters: Any) -> str:
    """The fields of a dataclass as ``rows=16 channels=4``, without those left at their default."""
    words = []
    for field in fields(parameters):
        value = getattr(parameters, field.name)
        if field.default is MISSING or value != field.default:
            words.append(f"{field.name}={value}")
    return " ".join(words)


def _dims(tensor: relax.Expr, layout: str, axes: str) -> list[str]:
    """The named dimensions as text; ``?`` for one that is not known."""
    shape = shape_of(tensor)
    if shape is None or sorted(layout) != sorted(set(layout)) or len(layout) != len(shape):
        return ["?"] * len(axes)
    return [readable(shape[layout.index(axis)]) for axis in axes]
