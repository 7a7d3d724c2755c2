"""The inner loops for AArch64: found in any assembly, without spills, and close to the bound."""

from __future__ import annotations

import json
from collections import defaultdict
from functools import cache
from math import prod

import inner_loop
import mca
import pytest
from inner_loop import NoAnalyser, analyser, reduction_loops

from tvm_deconv.schedules.choice import choose
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.targets import resolve_target

NESTED = """
	.text
kernel:                                 // @kernel
	stp	x29, x30, [sp, #-16]!
	mov	x29, sp
.LBB0_1:
	movi	v0.2d, #0000000000000000
	str	q9, [sp, #32]
	.p2align	4, , 8
.LBB0_2:                                // the reduction
	ldr	q2, [x1], #16
	ldp	q3, q4, [x2]
	cbz	x7, .LBB0_3
	fmla	v0.4s, v2.4s, v3.s[0]
.LBB0_3:
	fmla	v1.4s, v2.4s, v4.s[1]
	subs	x3, x3, #1
	b.ne	.LBB0_2
	str	q0, [x4], #16
	cmp	x4, x5
	b.ne	.LBB0_1
.LBB0_4:
	ldr	x6, [x6]
	tbnz	w6, #3, .LBB0_4
	ret
"""


def in_loop(*instructions):
    return NESTED.replace("\tsubs", "".join(f"\t{line}\n" for line in instructions) + "\tsubs")


def only_loop(assembly):
    (loop,) = reduction_loops(assembly)
    return loop


def test_the_reduction_is_the_innermost_loop_with_multiply_adds():
    loop = only_loop(NESTED)
    assert loop.instructions[0].split() == ["ldr", "q2,", "[x1],", "#16"]
    assert loop.instructions[-1].split() == ["b.ne", ".LBB0_2"]
    assert (loop.multiply_adds, loop.loads) == (2, 2)


def test_stores_to_the_stack_outside_of_the_loop_are_no_spills():
    loop = only_loop(NESTED)
    assert (loop.spills, loop.reloads) == (0, 0)


@pytest.mark.parametrize(
    ("instructions", "spills", "reloads"),
    [
        (["str q5, [sp, #16]"], 1, 0),
        (["stp q5, q6, [sp]", "ldp q5, q6, [sp]"], 1, 1),
        (["ldur q5, [x29, #-32]"], 0, 1),
        (["add x8, sp, #160", "st1 { v0.2d, v1.2d }, [x8]"], 1, 0),
        (["add x8, sp, #160", "add x9, x8, #16", "ld1 { v0.2d, v1.2d }, [x9]"], 0, 1),
        (["add x8, sp, #160", "cmp x8, x9", "ldr q5, [x8]"], 0, 1),
        (["add x8, sp, #160", "add x8, x1, #16", "ldr q5, [x8]"], 0, 0),
        (["add x8, sp, #160", "ldr x8, [x1]", "ldr q5, [x8]"], 0, 0),
    ],
)
def test_every_way_to_the_stack_counts(instructions, spills, reloads):
    loop = only_loop(in_loop(*instructions))
    assert (loop.spills, loop.reloads) == (spills, reloads)


def test_a_loop_that_stores_what_it_computes_is_no_reduction():
    """So do Winograd's transforms, of which some only multiply and add."""
    assert reduction_loops(in_loop("str q5, [x4]")) == []


def test_x29_is_the_stack_only_where_the_function_makes_it_the_frame():
    text = in_loop("ldr q5, [x29, #32]").replace("mov	x29, sp", "mov	x29, x0")
    assert only_loop(text).reloads == 0


def test_code_without_multiply_adds_has_no_reduction():
    assert reduction_loops(NESTED.replace("fmla", "fadd")) == []


def test_a_kernel_may_have_several_reductions():
    twice = NESTED + NESTED.replace("LBB0", "LBB1").replace("kernel", "second")
    assert [loop.multiply_adds for loop in reduction_loops(twice)] == [2, 2]


@pytest.mark.parametrize("transform", ["fadd", "fsub", "fmul", "fneg"])
def test_a_loop_with_other_arithmetic_than_multiply_adds_is_a_transform(transform):
    text = in_loop(f"{transform} v5.4s, v6.4s, v7.4s")
    assert reduction_loops(text) == []
    assert len(reduction_loops(text + NESTED.replace("LBB0", "LBB1"))) == 1


@cache
def compiled(layer, variant, core):
    return mca.compiled(layer, VARIANTS[variant], core)


@pytest.mark.parametrize("core", dict.fromkeys(view.core for view in mca.VIEWS))
@pytest.mark.parametrize("variant", [variant.name for variant in mca.VARIANTS])
@pytest.mark.parametrize("layer", mca.LAYERS)
def test_nothing_is_spilled_inside_the_reduction(layer, variant, core):
    kernel = compiled(layer, variant, core)
    assert kernel.loops
    assert all(loop.multiply_adds % prod(kernel.register_tile) == 0 for loop in kernel.loops)
    assert [(loop.spills, loop.reloads) for loop in kernel.loops] == [(0, 0)] * len(kernel.loops)


@pytest.mark.parametrize(
    ("core", "instruction"),
    [("cortex-a53", "smlal"), ("cortex-a55", "sdot"), ("cortex-a72", "smlal")],
)
def test_integers_are_not_spilled_and_weights_are_taken_out_of_vectors(core, instruction):
    kernel = mca.compiled_integers("sub-pixel r2 64->64, 128", core)
    for loop in kernel.loops:
        assert loop.instruction == instruction
        assert loop.multiply_adds % prod(kernel.register_tile) == 0
        assert loop.loads * 4 < loop.multiply_adds
        assert (loop.spills, loop.reloads) == (0, 0)


@pytest.mark.parametrize(
    ("core", "layer", "instruction", "by"),
    [
        ("cortex-a53", "nearest r2 64->64, 128", "smlal", "by F(2x2, 2x2)"),
        ("cortex-a72", "deconv K4 s2 256->128, 16", "smlal", "by F(2x2, 2x2)"),
        ("cortex-a55", "nearest r2 64->64, 128", "sdot", "by unfolded taps"),
        ("cortex-a76", "nearest r2 256->256, 64", "sdot", "by unfolded taps"),
        ("cortex-a72", "deconv K9 s3 56->1, 126x128", "smlal", "by F(4x4, 3x3)"),
    ],
)
def test_integers_are_counted_in_the_form_that_computes_them(core, layer, instruction, by):
    kernel = mca.compiled_integers(layer, core)
    assert kernel.by == by and kernel.loops
    for loop in kernel.loops:
        assert loop.instruction == instruction
        assert loop.multiply_adds % prod(kernel.register_tile) == 0
        assert loop.loads * 2 < loop.multiply_adds
        assert (loop.spills, loop.reloads) == (0, 0)


@pytest.mark.parametrize("layer", mca.LAYERS)
def test_the_second_variant_is_what_the_machine_model_prefers(layer):
    target = resolve_target({"kind": "llvm", "mtriple": "aarch64-linux-gnu", "num-cores": 4})
    conv, sizes = mca.LAYERS[layer]
    assert choose(conv, sizes, "float32", cpu_machine(target)).variant is mca.VARIANTS[1]


@pytest.mark.parametrize("layer", mca.LAYERS)
def test_addresses_in_the_scratch_cost_next_to_nothing(layer):
    # With the scratch in the coordinates of the whole input, K9 s3 had 70 such instructions.
    for loop in compiled(layer, "revd2", "cortex-a53").loops:
        assert len(loop.instructions) - loop.multiply_adds - loop.loads <= 16


@pytest.mark.parametrize("variant", [variant.name for variant in mca.VARIANTS])
@pytest.mark.parametrize("layer", [name for name in mca.LAYERS if "64->64" in name])
def test_one_load_brings_the_weights_of_four_lanes(layer, variant):
    loops = compiled(layer, variant, "cortex-a72").loops
    assert all(loop.loads * 4 < loop.multiply_adds for loop in loops)


@pytest.fixture
def installed():
    try:
        return analyser()
    except NoAnalyser as error:
        pytest.skip(str(error))


def test_the_bound_is_the_throughput_of_the_pipelines(installed):
    assert inner_loop.cycles_per_multiply_add("cortex-a72") == pytest.approx(1, abs=0.01)
    assert inner_loop.cycles_per_multiply_add("neoverse-n1") == pytest.approx(0.5, abs=0.01)


def test_the_loop_for_out_of_order_cores_reaches_the_wanted_share(installed):
    layer = "nearest r2 64->64, 128"
    table = list(mca.rows([layer], ["cortex-a72", "cortex-a76"]))
    models = defaultdict(list)
    for row in table:
        is_integer = row.variant.startswith(mca.INTEGER)
        models[mca.INTEGER if is_integer else row.variant].append(row.model)
    every = ["cortex-a72", "cortex-a76", "neoverse-n1"]
    # The first of them does not compute in float16.
    in_half = {"revd2 float16": every[1:]}
    assert models == {"revd2": every, "winograd": every, mca.INTEGER: every, **in_half}
    assert all(row.share >= mca.WANTED and row.spills == row.reloads == 0 for row in table)


def test_json_has_the_rows_of_the_table(installed, monkeypatch, capsys):
    arguments = ["mca.py", "--json", "--only", "K4", "--core", "cortex-a72"]
    monkeypatch.setattr("sys.argv", arguments)
    mca.main()
    table = json.loads(capsys.readouterr().out)
    assert [row["variant"] for row in table] == [
        "revd2",
        "winograd",
        "integer smlal by F(2x2, 2x2)",
    ]
    for row in table:
        assert (row["layer"], row["core"]) == ("deconv K4 s2 256->128, 16", "cortex-a72")
        assert row["share"] == pytest.approx(row["bound"] / row["cycles"], abs=1e-3)


def test_without_the_analyser_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setattr(inner_loop.shutil, "which", lambda name: None)
    with pytest.raises(NoAnalyser, match="apt install llvm-"):
        analyser.__wrapped__()


def test_an_analyser_that_is_too_old_does_not_count(monkeypatch):
    monkeypatch.setattr(inner_loop.shutil, "which", lambda name: name)
    monkeypatch.setattr(inner_loop, "_version", lambda path: 18)
    with pytest.raises(NoAnalyser, match="LLVM 19 or later"):
        analyser.__wrapped__()
    monkeypatch.setattr(inner_loop, "_version", lambda path: 19)
    assert analyser.__wrapped__().startswith("llvm-mca-")


def test_an_unknown_layer_names_those_there_are(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["mca.py", "--only", "no such layer"])
    with pytest.raises(SystemExit):
        mca.main()
    assert "plain 3x3 64->64" in capsys.readouterr().err
