"""A benchmark beside processes that compute all the time."""

from __future__ import annotations

import psutil
import pytest

from tvm_deconv import bench
from tvm_deconv.bench import benchmark, table
from tvm_deconv.bench.busy import busy
from tvm_deconv.errors import BenchError


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


@pytest.mark.parametrize("count", [0, 2])
def test_so_many_processes_run_until_the_context_ends(count):
    before = children()
    with busy(count):
        begun = children() - before
        assert len(begun) == count
        assert all(psutil.Process(pid).is_running() for pid in begun)
    assert children() == before


def test_they_end_where_what_is_measured_fails():
    before = children()
    with pytest.raises(KeyboardInterrupt), busy(1):
        raise KeyboardInterrupt
    assert children() == before


def results_of(monkeypatch, tmp_path, count):
    asked = []

    def measure(*_, beside, **__):
        asked.append(beside)
        return {"contestants": {}, "kind": "layer", "multiply_adds": None}

    monkeypatch.setattr(benchmark, "measure", measure)
    options = {"peers": (), "variants": (), "say": lambda _: None, "out": tmp_path / "out.json"}
    found = bench.run(["espcn-x3"], busy=count, **options)
    assert asked == [count]
    return found


def test_the_result_says_how_many_there_were(monkeypatch, tmp_path):
    found = results_of(monkeypatch, tmp_path, 3)
    assert found["busy"] == 3
    assert "Beside 3 other processes that computed all the time." in table.render(found)
    assert "Beside" not in table.render(results_of(monkeypatch, tmp_path, 0))


@pytest.mark.parametrize("count", [-1, 1.5, "2"])
def test_what_is_no_number_of_processes_is_refused(count, tmp_path):
    with pytest.raises(BenchError, match=r"^busy is .*: give the number of processes, 0 for none$"):
        bench.run(["espcn-x3"], busy=count, out=tmp_path / "out.json")
