"""The budget of weights of a function: which layers get smaller forms (``schedules.budget``).

What a layer's weights are in the model, ``RewriteUpsampling`` notes down where it makes more of
them (a folded resize has 16 for 9 of a 3x3 kernel). Layers left to TVM, and those that are computed
in integers, have their own and are in neither sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tvm_deconv.annotations import WEIGHTS_BEFORE
from tvm_deconv.layer_names import layer_name
from tvm_deconv.report import Weights
from tvm_deconv.schedules.budget import Budget, Form, within
from tvm_deconv.schedules.chooser import Chooser

from .layers import LoweredLayer
from .weighed import weighed_forms


@dataclass(frozen=True)
class Budgeted:
    """Layers with forms that keep within the budget, and the sums of their weights."""

    layers: list[LoweredLayer]
    weights: Weights


def within_budget(layers: Sequence[LoweredLayer], chooser: Chooser) -> Budgeted:
    """``layers`` of one function, with at most the weights that the budget allows.

    Or, where that cannot be, with the smallest forms.
    """
    forms = [weighed_forms(layer.conv, chooser) for layer in layers]
    model = _of_model(layers)
    most = chooser.budget.most(model)
    taken = within(forms, most)
    chosen = [own[index] for own, index in zip(forms, taken, strict=True)]
    result = [
        layer if form is own[0] else _smaller(layer, own[0], form, chooser.budget)
        for layer, own, form in zip(layers, forms, chosen, strict=True)
    ]
    return Budgeted(
        result,
        Weights(
            model=model,
            fastest=sum(own[0].weights for own in forms),
            kernels=sum(form.weights for form in chosen),
            most=most,
            smaller=sum(index > 0 for index in taken),
            cycles=sum(form.cycles for form in chosen),
            fastest_cycles=sum(own[0].cycles for own in forms),
        ),
    )


def _smaller(layer: LoweredLayer, first: Form, form: Form, budget: Budget) -> LoweredLayer:
    """The layer with a smaller form, and why."""
    lost = form.cycles / first.cycles if first.cycles else 1.0
    reason = (
        f"{form.choice.variant.name} with {form.weights} weights in place of {first.weights}, "
        f"{lost:.2f} times the cycles, for max_weight_growth {budget.growth:g}"
    )
    return replace(layer, choice=replace(form.choice, reason=f"{first.choice.reason}; {reason}"))


def _of_model(layers: Sequence[LoweredLayer]) -> int:
    """The weights that the model has for ``layers``: those of one name were one layer there."""
    sizes: dict[str, int] = {}
    for layer in layers:
        name = layer_name(layer.conv.var)
        sizes[name] = sizes.get(name, 0) + int(layer.conv.weight.size)
    for layer in layers:
        before = (layer.graph.func.attrs or {}).get(WEIGHTS_BEFORE, {})
        name = layer_name(layer.conv.var)
        if name in before:
            sizes[name] = int(before[name])
    return sum(sizes.values())
