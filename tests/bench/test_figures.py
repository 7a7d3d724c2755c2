"""Figures, table and plot of a result file: computed from its samples, by hand here."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tvm_deconv.bench import figures, plot, table
from tvm_deconv.bench.figures import Spread
from tvm_deconv.errors import BenchError, OutputError

ROLES = {
    "auto": "ours",
    "direct": "ours",
    "no-rewrite": "ours",
    "tvm": "baseline",
    "peak": "peak",
    "onnxruntime": "peer",
    "ncnn": "peer",
}


def record(*ms, error=1e-6, share=2.0, **more):
    return {
        "status": "measured",
        "ms": list(ms),
        "error": error,
        "cpu_share": [share],
        "notes": [],
        "facts": {},
        **more,
    }


def workload(kind="layer", multiply_adds=1_000_000, **contestants):
    return {
        "kind": kind,
        "origin": "a test",
        "inputs": {"x": ["float32", 1, 1, 4, 4]},
        "multiply_adds": multiply_adds,
        "contestants": contestants,
    }


@pytest.fixture
def results():
    """A layer won by a factor of 2 and a network lost by a factor of 2."""
    memory = {"planned_bytes": 2**20, "scratch_bytes": 2**19}
    wrong = {**record(error=1e-3), "status": "wrong", "reason": "the largest error is 1.0e-03"}
    return {
        "format": 1,
        "machine": {"cpu": "Test CPU", "processors": 2, "system": "Linux"},
        "threads": 2,
        "versions": {"python": "3.12", "apache-tvm": "0.27", "onnxruntime": "1.2.3"},
        "date": "2026-11-21T00:00:00+00:00",
        "commit": "abc",
        "tolerance": 1e-4,
        "limit_s": 20,
        "roles": ROLES,
        "left_out": {"mnn": "mnn cannot be installed: no wheel"},
        "interrupted": False,
        "workloads": {
            "won": workload(
                auto=record(1, 2, 3, notes=["winograd x 1"], facts={"form_multiply_adds": 400_000}),
                direct=record(4),
                tvm=record(80),
                peak=record(1, facts={"flop": 2e6}),
                onnxruntime=record(4, 4, 4),
                ncnn={**wrong, "ms": []},
                **{"no-rewrite": record(5, facts=memory)},
            ),
            "network": workload(
                kind="network",
                multiply_adds=None,
                auto=record(2, 2, facts=memory),
                onnxruntime=record(3, 3),
                ncnn=record(1, 1),
            ),
        },
    }


def test_a_spread_is_the_median_and_the_quartiles():
    assert Spread.of([5, 1, 4, 2, 3]) == Spread(3, 2, 4, 5)
    assert str(Spread.of([5, 1, 4, 2, 3])) == "3.00 ±1.00"


def test_one_sample_has_no_spread():
    assert str(Spread.of([7])) == "7.00"


def test_ratios_are_to_the_fastest_peer_that_counts(results):
    won, network = figures.rows(results)
    assert (won.fastest_peer, won.ratio) == ("onnxruntime", 2.0)
    assert (network.fastest_peer, network.ratio) == ("ncnn", 0.5)
    assert won.ratio_to("tvm") == 40


def test_the_share_of_the_peak_is_taken_of_the_peak_measured_beside_it(results):
    won, network = figures.rows(results)
    assert won.gflops == pytest.approx(2 * 1e6 / 2e-3 / 1e9)
    assert won.peak_gflops == pytest.approx(2e6 / 1e-3 / 1e9)
    assert won.share == pytest.approx(0.5)
    assert won.bound_share == pytest.approx(0.2)
    assert won.direct_share == pytest.approx(0.25)
    assert (network.gflops, network.share, network.direct_share) == (None, None, None)
    assert network.bound_share is None


def test_the_direct_share_is_not_known_where_direct_was_not_measured(results):
    del results["workloads"]["won"]["contestants"]["direct"]
    won = figures.rows(results)[0]
    assert (won.share, won.direct_share) == (pytest.approx(0.5), None)
    header = table.main_table(figures.rows(results), results).splitlines()[0]
    assert "effective, of peak" in header and "direct, of peak" not in header


def test_the_list_of_what_was_lost_has_the_worst_first(results):
    worse = workload(auto=record(9), onnxruntime=record(3))
    results["workloads"]["worse"] = worse
    assert [row.name for row in figures.lost(figures.rows(results))] == ["worse", "network"]


def test_the_geometric_mean_leaves_out_what_is_not_known():
    assert figures.geometric_mean([8, None, 2]) == pytest.approx(4)
    assert figures.geometric_mean([None]) is None


def test_the_table_says_it_all(results):
    text = table.render(results)
    for line in (
        "Test CPU, 2 processors, 2 threads each, float32, 2026-11-21T00:00:00+00:00, commit abc",
        "apache-tvm 0.27, onnxruntime 1.2.3",
        "1 layer: geometric mean of the ratios to the fastest peer 2.00, smallest 2.00 (won)",
        "1 network: geometric mean of the ratios to the fastest peer 0.50, smallest 0.50 (network)",
        "lost to a peer: network (0.50, ncnn)",
        "geometric mean of tvm / ours: 40.00",
        "- mnn is left out: mnn cannot be installed: no wheel",
        "- won, ncnn: wrong: the largest error is 1.0e-03",
    ):
        assert line in text.splitlines()
    header = next(line for line in text.splitlines() if line.startswith("| workload"))
    names = [cell.strip() for cell in header.strip("|").split("|")]
    assert names[6:10] == ["GFLOP/s", "effective, of peak", "of its bound", "direct, of peak"]
    row = next(line for line in text.splitlines() if line.startswith("| won"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells == [
        "won", "winograd x 1", "2.00 ±0.50", "onnxruntime", "4.00 ±0.00", "2.00", "1", "50%", "20%",
        "25%", "80.00", "1.5", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("share", "remark"),
    [(2.6, "kept 2.6 processors busy"), (1.0, "kept only 1.0 processors busy"), (2.1, None)],
)
def test_who_keeps_other_processors_busy_than_asked_for_is_listed(results, share, remark):
    results["workloads"]["won"]["contestants"]["onnxruntime"] = record(60, share=share)
    lines = table.notes(results).splitlines()
    assert (f"- won, onnxruntime: {remark}" in lines) == (remark is not None)
    assert sum("busy" in line for line in lines) == (remark is not None)


@pytest.mark.parametrize(
    ("load_share", "remark"),
    [(2.6, "kept 2.6 processors busy"), (1.0, "kept only 1.0 processors busy"), (2.1, None)],
)
def test_turns_of_a_few_milliseconds_are_judged_by_the_calls_after_loading(
    results, load_share, remark
):
    contestants = results["workloads"]["won"]["contestants"]
    contestants["onnxruntime"] = record(4, share=9.0, load_cpu_share=load_share)
    lines = table.notes(results).splitlines()
    assert (f"- won, onnxruntime: {remark}" in lines) == (remark is not None)
    assert sum("busy" in line for line in lines) == (remark is not None)


def test_turns_that_are_long_enough_are_judged_by_themselves(results):
    contestants = results["workloads"]["won"]["contestants"]
    contestants["onnxruntime"] = record(60, share=2.0, load_cpu_share=1.0)
    assert "busy" not in table.notes(results)


def test_short_turns_in_an_older_result_file_say_nothing_about_processors(results):
    results["workloads"]["won"]["contestants"]["onnxruntime"] = record(4, share=2.6)
    assert "busy" not in table.notes(results)


def test_the_baseline_may_use_one_thread_only(results):
    results["workloads"]["won"]["contestants"]["tvm"] = record(80, share=1.0, notes=["a remark"])
    assert "busy" not in table.notes(results)
    assert "- tvm: a remark" in table.notes(results).splitlines()


def test_the_memory_of_a_run_stands_beside_its_plan(results):
    contestants = results["workloads"]["network"]["contestants"]
    contestants["auto"]["memory"] = {"before": 2**20, "peak": 4 * 2**20}
    contestants["onnxruntime"]["memory"] = {"before": 0, "peak": 9 * 2**20}
    contestants["ncnn"]["memory"] = {"reason": "ncnn (load) died"}
    lines = table.render(results).splitlines()
    header, _, won, network = lines[next(i for i, x in enumerate(lines) if "resident" in x) :][:4]

    def cells(line):
        return [cell.strip() for cell in line.strip("|").split("|")]

    assert cells(header)[1:] == ["planned, without weights", "auto", "onnxruntime"]
    assert cells(won)[1:] == ["", "", ""] and cells(network)[1:] == ["1.5", "3", "9"]
    assert "- network, ncnn: memory is not known: ncnn (load) died" in lines


def test_without_memory_there_is_no_table_of_it(results):
    assert "resident" not in table.render(results)


def test_columns_that_nobody_fills_are_left_out(results):
    for record in results["workloads"].values():
        record["contestants"].pop("tvm", None)
    header = table.main_table(figures.rows(results), results).splitlines()[0]
    assert " tvm " not in header


def test_a_run_without_peers_has_a_table_too(results):
    results["roles"] = {name: role for name, role in ROLES.items() if role != "peer"}
    for record in results["workloads"].values():
        for name in ("onnxruntime", "ncnn"):
            del record["contestants"][name]
    assert "ratio" not in table.render(results)


def test_an_interrupted_run_says_so(results):
    results["interrupted"] = True
    assert "The run was interrupted" in table.render(results)


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_a_plot_is_a_file_of_the_format_asked_for(results, tmp_path, ending):
    path = tmp_path / f"plot.{ending}"
    plot.plot(results, path)
    begin = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF"}[ending]
    assert path.read_bytes().startswith(begin)


def test_a_plot_names_every_workload_and_its_fastest_peer(results, tmp_path):
    path = tmp_path / "plot.svg"
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none"}):
        plot.plot(results, path)
    text = "\n".join(ElementTree.parse(path).getroot().itertext())
    shares = ("effective, of peak", "direct, of peak")
    for word in ("won", "network", "2.00 (onnxruntime)", "0.50 (ncnn)", "1 GFLOP/s", *shares):
        assert word in text


def test_a_plot_is_refused_where_it_cannot_be_written(results, tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        plot.plot(results, tmp_path / "none" / "plot.svg")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not JSON"),
        ("[]", "its format is None"),
        ('{"format": 0}', "not a result of tvm-deconv bench of format 1: its format is 0"),
    ],
)
def test_a_file_that_is_no_result_is_refused(tmp_path, text, reason):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(BenchError, match=reason):
        figures.read(path)


def test_a_result_file_reads_as_it_was_written(results, tmp_path):
    path = Path(tmp_path / "results.json")
    path.write_text(json.dumps(results))
    assert table.render(figures.read(path)) == table.render(results)
