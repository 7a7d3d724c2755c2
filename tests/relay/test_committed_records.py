"""Every log of AutoTVM's records in the repository: whose it is, and that its fastest are right."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import tvm
from tvm import autotvm
from tvm.target import Target

import tvm_deconv.relay  # noqa: F401  registers the tasks
from tvm_deconv.logs.roots import shipped_root
from tvm_deconv.relay import checked, record_log

LOGS = sorted(shipped_root().glob(f"*/{record_log.FOLDER}/{record_log.FILE}"))
# Any x86-64 processor computes it: LLVM splits wide vectors.
TARGET = Target("llvm -mtriple=x86_64-linux-gnu -num-cores=1 -opt-level=1")


def device_name(log) -> str:
    return log.parts[-3]


def fastest(log):
    best = {}
    for record in record_log.read(log):
        if not record.error:
            best[record.workload] = min(
                best.get(record.workload, record), record, key=lambda one: one.mean
            )
    return best


def test_a_log_is_shipped():
    assert LOGS


@pytest.mark.parametrize("log", LOGS, ids=device_name)
def test_a_committed_log_has_the_name_of_its_device(log):
    records = record_log.read(log)
    assert {record.device.device_name for record in records} == {device_name(log)}


@pytest.mark.parametrize(
    "record",
    [record for log in LOGS for record in fastest(log).values()],
    ids=lambda record: f"{record.device.device_name}-{record.workload[0].partition('.')[0]}",
)
def test_the_fastest_record_of_a_layer_computes_it(record):
    name, *arguments = record.workload
    task = autotvm.task.create(name, arguments, TARGET)
    with TARGET:
        kernel = tvm.build(*task.instantiate(record.config), TARGET)
    measured = autotvm.MeasureInput(TARGET, task, record.config)
    checked.Check.of(measured)(SimpleNamespace(cpu=tvm.cpu), kernel)
