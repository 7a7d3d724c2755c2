"""Threads are as many as the processors whose time this process is given."""

from __future__ import annotations

import os

import pytest

from tvm_deconv.schedules.cpu import processors
from tvm_deconv.schedules.cpu.processors import available_processors, processor_quota


def written(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.fsencode(text))
    return folder / "groups", folder / "membership"


CASES = {
    "version 2": ({"groups/a/b/cpu.max": "150000 100000\n"}, "0::/a/b\n", 1.5),
    "a group above": (
        {"groups/a/b/cpu.max": "max 100000\n", "groups/a/cpu.max": "300000 100000\n"},
        "0::/a/b\n",
        3,
    ),
    "a container, which sees its own group as the root": (
        {"groups/cpu.max": "50000 100000\n"},
        "0::/system.slice/docker-1\n",
        0.5,
    ),
    "version 1": (
        {
            "groups/cpu,cpuacct/cpu.cfs_quota_us": "400000\n",
            "groups/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
        "5:memory:/x\n4:cpu,cpuacct:/docker/1\n1:cpuset:/\n",
        4,
    ),
    "version 1 in a folder of one controller": (
        {
            "groups/cpu/cpu.cfs_quota_us": "250000\n",
            "groups/cpu/cpu.cfs_period_us": "100000\n",
        },
        "4:cpuacct,cpu:/\n",
        2.5,
    ),
    "names of any bytes": (
        {"groups/\udcff\x0b\u2028/b/cpu.max": "150000 100000\n", "groups/cpu.max": "5 1\n"},
        "0::/\udcff\x0b\u2028/b\n",
        1.5,
    ),
    "version 1 without a limit": (
        {"groups/cpu/cpu.cfs_quota_us": "-1\n", "groups/cpu/cpu.cfs_period_us": "100000\n"},
        "1:cpu:/\n0::/\n",
        None,
    ),
    "none": ({"groups/cpu.max": "max 100000\n"}, "0::/\n", None),
    "what cannot be read": ({"groups/cpu.max": "a lot\n"}, "0::/\n", None),
    "no control groups": ({"groups/x": ""}, "", None),
}


@pytest.mark.parametrize("name", CASES)
def test_the_time_that_control_groups_give_is_read(tmp_path, name):
    files, membership, expected = CASES[name]
    assert processor_quota(*written(tmp_path, {**files, "membership": membership})) == expected


def test_a_system_without_control_groups_gives_any_time(tmp_path):
    assert processor_quota(tmp_path, tmp_path / "missing") is None


@pytest.mark.parametrize(("quota", "count"), [(None, 8), (0.5, 1), (1.5, 2), (64, 8)])
def test_no_more_processors_are_used_than_there_is_time_for(monkeypatch, quota, count):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(processors, "processor_quota", lambda: quota)
    assert available_processors() == count
