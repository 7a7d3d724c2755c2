"""From a target and what a caller says to the ``Chooser`` of layers that passes share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from tvm.target import Target

from tvm_deconv.backends import machine_of
from tvm_deconv.errors import TargetError
from tvm_deconv.logs.find import AUTO as AUTO_LOG
from tvm_deconv.logs.find import LogSpec, resolve_log
from tvm_deconv.schedules.budget import Growth, budget_of
from tvm_deconv.schedules.choice import AUTO, Preferences
from tvm_deconv.schedules.chooser import Chooser
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, HALF
from tvm_deconv.targets import TargetSpec, resolve_target

# What a pass is made for: a target, or a chooser that it shares with others.
ChooserSpec: TypeAlias = TargetSpec | Chooser


def chooser_for(spec: ChooserSpec, options: Mapping[str, Any]) -> Chooser:
    """The chooser of a pass that is made for ``spec`` with these keyword arguments.

    Raises TypeError for options beside a chooser, and for a target what ``chooser_of`` does.
    """
    if isinstance(spec, Chooser):
        refuse_ignored(options, "the chooser has its own, say it where that is made")
        return spec
    return chooser_of(spec, **options)


def refuse_ignored(options: Mapping[str, Any], why: str) -> None:
    """Raise TypeError where there are any ``options``: nobody would ask for them."""
    if options:
        words = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise TypeError(f"{words} would be ignored: {why}")


def chooser_of(
    target: TargetSpec,
    *,
    variant: str = AUTO,
    winograd: bool = True,
    log: LogSpec = AUTO_LOG,
    max_weight_growth: Growth = AUTO,
    accumulate: str = ACCUMULATE_DTYPE,
) -> Chooser:
    """The chooser for a target, whatever ``tvm_deconv.targets.resolve_target`` takes.

    ``variant``, ``winograd`` and ``log`` decide about the variant as ``schedules.choice`` says;
    ``log`` is found as ``tvm_deconv.logs.find.resolve_log`` says. The weights of all kernels
    together are at most ``max_weight_growth`` times the model's (``schedules.budget``).
    ``accumulate`` is ``"float16"`` where sums may be, on targets that gain by it.

    Raises TargetError for a target that is unknown, has no schedules or does not gain by sums of
    float16 that are asked for, VariantError for a variant that is unknown or excluded and a growth
    that is no number of at least 1, OptionError for a ``winograd`` that is no bool and another
    ``accumulate``, and LogError for a log that is damaged or not of the target.
    """
    resolved = resolve_target(target)
    budget = budget_of(max_weight_growth)
    machine = machine_of(resolved)
    preferences = Preferences(variant, winograd, resolve_log(log, resolved)[0], accumulate)
    if accumulate == HALF and machine.in_half is None:
        raise TargetError(_no_half(resolved, machine))
    return Chooser(machine, preferences, budget)


def _no_half(target: Target, machine: Machine) -> str:
    name = " ".join(str(target.attrs[key]) for key in ("mcpu", "model") if key in target.attrs)
    return (
        f"accumulate='{HALF}' is for processors that compute in it (ARMv8.2 with fullfp16, such as "
        f"cortex-a76) and for Mali and Adreno, not for {name or machine.name}: leave it out"
    )
