"""The choice of a variant: caller, then tuning log, then machine model, and what is said of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from types import MappingProxyType

import pytest
from paths import ROOT
from tvm.target import Target

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.backends import machine_of
from tvm_deconv.errors import VariantError
from tvm_deconv.schedules import machines
from tvm_deconv.schedules.choice import Preferences, Row, choose
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS
from tvm_deconv.schedules.typical import (
    MEAN_SIZE,
    TYPICAL_LENGTHS,
    TYPICAL_SIZES,
    means,
    of_model,
    typical,
)
from tvm_deconv.schedules.variant import Sizes, Variant, never_refuses

LAYER = ConvTranspose2d(8, 6, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1))
SIZES = Sizes(1, 12, 20)
MACHINE = CpuMachine("avx512", 16, 32, 32 << 10, 1 << 20, 2)


@dataclass(frozen=True)
class Numbers:
    """Parameters of a pretended variant."""

    lanes: int
    source: str = "model"


@dataclass(frozen=True)
class AnySpace:
    """A space in which everything can be done but for the reason given."""

    reason: str | None = None

    def refusal(self, *_):
        return self.reason


def pretended(name: str, megacycles: float, refusal=never_refuses, space=AnySpace()) -> Variant:
    def unused(*_):
        raise AssertionError("choosing computes nothing")

    return Variant(
        name=name,
        summary="pretended",
        parameters=Numbers,
        space=space,
        choose=lambda conv, sizes, machine: Numbers(machine.lanes),
        cycles=lambda conv, sizes, parameters, machine: megacycles * 1e6,
        packing=unused,
        compute=unused,
        schedule=unused,
        refusal=refusal,
    )


def refuses(conv: ConvTranspose2d, accumulate: str) -> str:
    return f"kernel {conv.h.kernel} is too large"


def registry(*variants: Variant) -> dict[str, Variant]:
    return {variant.name: variant for variant in variants}


SLOW, MIDDLE, FAST = pretended("slow", 12.4), pretended("middle", 3.41), pretended("fast", 0.05)
WINOGRAD = pretended("winograd", 0.01)
THREE = registry(SLOW, FAST, MIDDLE)
WITH_WINOGRAD = registry(SLOW, WINOGRAD, FAST)
WITH_REFUSAL = registry(SLOW, replace(FAST, refusal=refuses), MIDDLE)


class Log:
    """A tuning log in memory: variants for one layer, best first."""

    def __init__(self, *variants: str, conv=LAYER, sizes=SIZES, dtype="float32"):
        self.key = conv, sizes, dtype
        self.rows = [
            Row(variant, Numbers(4, "log"), f"log, place {place}")
            for place, variant in enumerate(variants, 1)
        ]

    def lookup(self, conv, sizes, dtype):
        return self.rows if (conv, sizes, dtype) == self.key else []


def chosen(variants, dtype="float32", **preferences) -> tuple[str, str, str]:
    """(name, where the parameters come from, reason) for the layer."""
    choice = choose(LAYER, SIZES, dtype, MACHINE, Preferences(variants=variants, **preferences))
    assert choice.parameters.lanes == (4 if choice.parameters.source == "log" else 16)
    return choice.variant.name, choice.parameters.source, choice.reason


def test_the_caller_comes_before_the_log_and_the_machine_model():
    assert chosen(THREE, variant="slow", log=Log("middle")) == ("slow", "model", "asked for")


def test_the_log_comes_before_the_machine_model():
    log = Log("middle", "fast")
    assert chosen(THREE, log=log) == ("middle", "log", "log, place 1")


def test_the_machine_model_takes_the_fewest_cycles_and_names_all_numbers():
    numbers = "machine model: fast 0.05 Mcycles, middle 3.41, slow 12.4"
    assert chosen(THREE) == ("fast", "model", numbers)


def test_the_first_in_the_registry_wins_a_tie():
    twins = [pretended(name, 2) for name in ("zeta", "alpha")]
    numbers = "machine model: zeta 2 Mcycles, alpha 2, slow 12.4"
    assert chosen(registry(SLOW, *twins)) == ("zeta", "model", numbers)


@pytest.mark.parametrize(
    ("sizes", "behind", "taken"),
    [
        (Sizes(1, None, None), 1.02, "other"),
        (Sizes(None, 12, None), 1.02, "other"),
        (Sizes(1, None, None), 1.04, "winograd"),
        (Sizes(None, 12, 20), 1.02, "winograd"),
    ],
)
def test_winograd_has_to_be_ahead_of_the_others_where_the_picture_is_free(sizes, behind, taken):
    variants = registry(pretended("other", behind), pretended("winograd", 1), SLOW)
    choice = choose(LAYER, sizes, "float32", MACHINE, Preferences(variants=variants))
    assert choice.variant.name == taken
    assert choice.reason.startswith(f"{of_model(sizes.is_free)}: {taken} ")


def test_a_variant_that_is_named_takes_its_best_parameters_in_the_log():
    log = Log("fast", "slow", "slow")
    reason = "asked for; log, place 2"
    assert chosen(THREE, variant="slow", log=log) == ("slow", "log", reason)


@pytest.mark.parametrize(
    "other",
    [
        {"dtype": "float16"},
        {"sizes": Sizes(None, 12, 20)},
        {"conv": replace(LAYER, groups=2)},
    ],
    ids=str,
)
def test_a_row_of_another_layer_size_or_dtype_says_nothing(other):
    assert chosen(THREE, log=Log("slow", **other))[0] == "fast"


def test_a_row_of_the_same_dtype_is_used():
    assert chosen(THREE, dtype="float16", log=Log("slow", dtype="float16"))[:2] == ("slow", "log")


def test_the_machine_model_passes_over_a_variant_that_refuses_and_says_why():
    reason = "machine model: middle 3.41 Mcycles, slow 12.4; fast cannot: kernel 4 is too large"
    assert chosen(WITH_REFUSAL) == ("middle", "model", reason)


def test_a_variant_whose_own_parameters_the_machine_cannot_do_is_passed_over():
    too_tall = replace(FAST, space=AnySpace("70000 blocks along y, more than 65535"))
    variants = registry(SLOW, too_tall, MIDDLE)
    why = "fast cannot: 70000 blocks along y, more than 65535"
    numbers = "machine model: middle 3.41 Mcycles, slow 12.4"
    assert chosen(variants) == ("middle", "model", f"{numbers}; {why}")
    asked = "asked for fast, which cannot: 70000 blocks along y, more than 65535"
    assert chosen(variants, variant="fast") == ("middle", "model", f"{asked}; {numbers}")


def test_a_variant_of_other_machines_may_be_named_and_is_passed_over_with_the_reason(monkeypatch):
    gpu = MappingProxyType({name: v for name, v in GPU_VARIANTS.items() if name != "strd"})
    monkeypatch.setitem(machines._VARIANTS, GpuMachine, gpu)
    cuda = machine_of(Target({"kind": "cuda", "arch": "sm_87"}))
    preferences = Preferences("strd")
    assert choose(LAYER, SIZES, "float32", MACHINE, preferences).reason == "asked for"
    choice = choose(LAYER, SIZES, "float32", cuda, preferences)
    assert choice.variant.name != "strd"
    start = "asked for strd, which this kind of machine does not have; machine model: "
    assert choice.reason.startswith(start)


def test_a_layer_that_the_named_variant_refuses_is_chosen_for_automatically():
    why = "asked for fast, which cannot: kernel 4 is too large"
    numbers = "machine model: middle 3.41 Mcycles, slow 12.4"
    assert chosen(WITH_REFUSAL, variant="fast") == ("middle", "model", f"{why}; {numbers}")
    row = ("slow", "log", f"{why}; log, place 1")
    assert chosen(WITH_REFUSAL, variant="fast", log=Log("slow")) == row


@pytest.mark.parametrize(
    ("name", "preferences", "why"),
    [
        ("fast", {}, "which cannot: kernel 4 is too large"),
        ("gone", {}, "which is not known"),
        ("winograd", {"winograd": False}, "which is switched off"),
    ],
)
def test_a_row_that_cannot_be_used_is_passed_over_with_the_reason(name, preferences, why):
    variants = {**WITH_REFUSAL, "winograd": WINOGRAD} if name == "winograd" else WITH_REFUSAL
    variant, source, reason = chosen(variants, log=Log(name), **preferences)
    assert (variant, source) == ("middle", "model")
    assert reason.startswith(f"the tuning log says {name}, {why}; machine model: middle 3.41 ")


def test_the_best_row_that_the_caller_allows_is_used():
    variants = {**WITH_REFUSAL, "winograd": WINOGRAD}
    log = Log("winograd", "winograd", "fast", "gone", "slow", "middle")
    assert chosen(variants, log=log)[:2] == ("winograd", "log")
    variant, source, reason = chosen(variants, log=log, winograd=False)
    assert (variant, source) == ("slow", "log")
    assert reason == (
        "the tuning log says winograd, which is switched off; the tuning log says fast, which "
        "cannot: kernel 4 is too large; the tuning log says gone, which is not known; log, place 5"
    )


def test_winograd_switched_off_is_not_chosen_though_it_would_be_the_fastest():
    assert chosen(WITH_WINOGRAD)[0] == "winograd"
    reason = "machine model: fast 0.05 Mcycles, slow 12.4; winograd is switched off"
    assert chosen(WITH_WINOGRAD, winograd=False) == ("fast", "model", reason)


def test_winograd_asked_for_and_switched_off_is_an_error():
    with pytest.raises(VariantError, match=r"'winograd' is asked for and switched off: leave one"):
        Preferences("winograd", winograd=False, variants=WITH_WINOGRAD)


def test_an_unknown_name_is_an_error_that_lists_all():
    with pytest.raises(VariantError, match=r"'fats': give one of auto, slow, fast, middle$"):
        Preferences("fats", variants=THREE)
    with pytest.raises(VariantError, match=f"auto, {', '.join(VARIANTS)}$"):
        Preferences("")


@pytest.mark.parametrize("variant", ["auto", "fast"])
def test_a_layer_that_no_variant_computes_is_an_error_with_the_reasons(variant):
    only = registry(replace(FAST, refusal=refuses))
    with pytest.raises(VariantError, match=r"no variant computes .*: fast cannot: kernel 4 is too"):
        chosen(only, variant=variant)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_that_there_is_can_be_asked_for(name):
    # None of them refuses a kernel of 4 by a stride of 2, of one input channel a group.
    layer = replace(LAYER, in_channels=6, groups=6) if name == "depthwise" else LAYER
    choice = choose(layer, SIZES, "float32", MACHINE, Preferences(name))
    assert choice.variant is VARIANTS[name]


@pytest.mark.parametrize("sizes", [SIZES, Sizes(None, None, None)])
def test_without_preferences_the_registry_and_the_machine_model_decide(sizes):
    choice = choose(LAYER, sizes, "float32", MACHINE)
    assert choice.variant is VARIANTS[choice.variant.name]
    assert choice.reason.startswith(f"{of_model(sizes.is_free)}: {choice.variant.name} ")


def test_the_documentation_has_a_row_for_every_variant_and_no_other():
    page = (ROOT / "docs" / "kernels.md").read_text(encoding="utf-8")
    table = page.split("| variant |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(VARIANTS)


def test_a_line_is_cut_into_columns_for_all_threads_not_into_channels():
    """Every share of the channels copies the whole input; HiFi-GAN's 256 have a prime of tiles."""
    line = ConvTranspose2d(256, 256, Axis(1), Axis(7, pad_begin=3, pad_end=3))
    machine = replace(MACHINE, threads=4)
    columns = Preferences("revd2")
    tile = choose(line, Sizes(1, 1, 512), "float32", machine, columns).parameters
    assert (tile.channel_splits, tile.parallel) == (1, True)
    assert -(-512 // tile.block_columns) == 4


@pytest.mark.parametrize("height", [1, 20, None], ids=["line", "picture", "free height"])
def test_inserted_zeros_are_counted_where_the_size_is_free(height):
    layer = ConvTranspose2d(64, 32, Axis(1), Axis(16, 8, 4, 4))
    sizes, counted = Sizes(1, height, None), {}
    for name in ("strd", "revd2"):
        variant = VARIANTS[name]
        tile = variant.choose(layer, sizes, MACHINE)
        counted[name] = variant.cycles(layer, sizes, tile, MACHINE)
    assert counted["strd"] > 5 * counted["revd2"]


def test_free_sizes_are_typical_ones_and_the_reason_says_so():
    assert typical(Sizes(None, 7, None)) == ((7,), TYPICAL_SIZES)
    assert typical(Sizes(1, 1, None)) == ((1,), TYPICAL_LENGTHS)
    assert means(Sizes(1, None, 9)) == (MEAN_SIZE, 9)
    free, fixed = (choose(LAYER, sizes, "float32", MACHINE) for sizes in (Sizes(1, None, 9), SIZES))
    assert free.reason.startswith("machine model at typical sizes: ")
    assert fixed.reason.startswith("machine model: ")
