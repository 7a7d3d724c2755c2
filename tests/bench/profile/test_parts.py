"""Profiles held against each other, and the table of them."""

from __future__ import annotations

import pytest

from tvm_deconv.bench.profile import table
from tvm_deconv.bench.profile.parts import parts_of


def kernel(name, nodes, *ms):
    return {"name": name, "layer": "", "nodes": nodes.split(), "ms": list(ms)}


def profile(*kernels, ms=(10.0,), notes=()):
    return {"ms": list(ms), "notes": list(notes), "kernels": list(kernels)}


def workload(ours, theirs=None):
    contestants = {"auto": {"profile": ours}}
    if theirs is not None:
        contestants["onnxruntime"] = {"profile": theirs}
    operators = {"c1": "Conv", "r1": "Relu", "a": "Add", "c2": "Conv", "t": "Transpose"}
    return {"nodes": operators, "contestants": contestants}


def summed(part):
    return part.nodes, part.ours, part.theirs, part.ratio


def test_kernels_of_the_same_nodes_are_compared():
    record = workload(
        profile(kernel("conv", "c1 r1", 2.0), kernel("add", "a", 6.0)),
        profile(kernel("Conv", "c1 r1", 3.0), kernel("Add", "a", 1.5)),
    )
    first, second = parts_of(record)
    assert summed(first) == (("a",), ("add",), ("Add",), 0.25)
    assert summed(second) == (("c1", "r1"), ("conv",), ("Conv",), 1.5)
    assert (first.share, second.share) == (0.75, 0.25)


def test_kernels_that_overlap_are_compared_together():
    record = workload(
        profile(kernel("conv", "c1 r1", 1.0, 3.0), kernel("add", "a", 4.0, 2.0)),
        profile(kernel("Conv", "c1", 2.0, 2.0), kernel("Relu+Add", "r1 a", 3.0, 3.0)),
    )
    (part,) = parts_of(record)
    assert summed(part) == (("c1", "r1", "a"), ("conv", "add"), ("Conv", "Relu+Add"), 1.0)
    # Of the sums in each call: 5 and 5.
    assert (part.ours_ms.median, part.ours_ms.low, part.ours_ms.high) == (5.0, 5.0, 5.0)


def test_what_only_one_side_computes_has_no_ratio():
    record = workload(
        profile(kernel("conv", "c1", 1.0), kernel("copy", "", 1.0), kernel("copy", "", 1.0)),
        profile(kernel("Conv", "c1", 1.0), kernel("Transpose", "t", 1.0)),
    )
    parts = parts_of(record)
    assert [(part.ours, part.theirs) for part in parts if part.ratio is None] == [
        (("copy",), ()),
        (("copy",), ()),
        ((), ("Transpose",)),
    ]


def text_of(record):
    return table.render({"workloads": {"network": record}})


def test_the_table_says_where_the_time_goes_and_what_is_slower():
    record = workload(
        profile(
            kernel("conv", "c1 r1", 6.0),
            kernel("add", "a", 3.0),
            kernel("conv", "c2", 0.7),
            kernel("small", "t", 0.1),
            kernel("copy", "", 0.2),
            ms=(10.5,),
        ),
        profile(
            kernel("Conv", "c1 r1", 12.0), kernel("Add", "a", 1.5), kernel("Conv", "c2", 0.5),
            ms=(14.25,), notes=["a remark"],
        ),
    )  # fmt: skip
    text = text_of(record)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    del cells[1]  # the rule
    assert cells == [
        ["nodes of the model", "our kernels", "share", "ours", "ONNX Runtime", "ratio", "its"],
        ["Conv, Relu (c1 to r1)", "conv", "60%", "6.00", "12.00", "2.00", "Conv"],
        ["Add (a)", "add", "30%", "3.00", "1.50", "0.50", "Add"],
        ["Conv (c2)", "conv", "7%", "0.70", "0.50", "0.71", "Conv"],
    ]
    for line in (
        "network: kernels above 5% of ours",
        "- ours: 5 kernels take 10.00 ms of 10.50",
        "- ONNX Runtime: 3 kernels take 14.00 ms of 14.25",
        "- ONNX Runtime: a remark",
        # The slower convolution has 7 % of the network.
        "- above 10% and slower than in ONNX Runtime: Add (a) (0.50)",
        "- ours: 0.30 ms in kernels that cannot be matched",
    ):
        assert line in text.splitlines()


@pytest.mark.parametrize(
    ("theirs", "line"),
    [
        (None, "- ONNX Runtime: not profiled"),
        ({"reason": "it died"}, "- ONNX Runtime: not profiled: it died"),
    ],
)
def test_ours_alone_is_shown_where_there_is_nothing_to_compare_with(theirs, line):
    text = text_of(workload(profile(kernel("conv", "c1", 2.0)), theirs))
    assert line in text.splitlines()
    assert "Conv (c1)" in text and "slower" not in text


def test_results_without_profiles_have_no_such_table():
    assert text_of({"contestants": {"auto": {"ms": [1.0]}}}) == ""
