"""MetaSchedule's ``workloads.json`` and ``records.json`` as plain data, without TVM.

TVM replays the trace of every record when it loads a database: a second for 70 layers with 40
records each, which every compilation would wait for. Ours are made of nothing but sampled numbers
and annotations (``layer.annotate``), which can be read off.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

from tvm_deconv.errors import LogError

from .layer import LAYER_ATTRIBUTE, PREFIX, VARIANT_ANNOTATION, Layer

# The serialized module begins with its length.
_LENGTH_BYTES = 8
_RECORD = re.compile(rb"\[(\d+),\[.*\]\]$")


@dataclass(frozen=True)
class Record:
    """A measured candidate: ``workload`` counts from 0, ``seconds`` are all samples of a call."""

    workload: int
    variant: str
    point: dict[str, int]
    seconds: tuple[float, ...]
    target: dict[str, Any]


def layer_of_workload(row: Any) -> Layer | None:
    """The layer that a row of ``workloads.json`` holds; None for one that is no layer of ours.

    Raises LogError for a row that cannot be read.
    """
    try:
        _, text = row
        graph = json.loads(base64.b64decode(text, validate=True)[_LENGTH_BYTES:])
        nodes = graph["nodes"]
        for node in nodes:
            if node["type"] == "ffi.Map":
                keys, values = node["data"][::2], node["data"][1::2]
                for key, value in zip(keys, values, strict=True):
                    if nodes[key].get("data") == LAYER_ATTRIBUTE:
                        return Layer.from_json(nodes[value]["data"])
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"cannot be read as a workload: {error!r}") from error
    return None


def workload_index(text: bytes) -> int:
    """Which workload, from 0, a line of ``records.json`` is of, without reading all of it.

    Raises LogError for a line that does not begin like one.
    """
    found = _RECORD.match(text)
    if not found:
        raise LogError("cannot be read as a record: it must be [workload, record]")
    return int(found[1])


def read_record(row: Any) -> Record:
    """What a row of ``records.json`` holds, if its workload is a layer of ours.

    Raises LogError for a row that cannot be read.
    """
    try:
        index, ((instructions, decisions), seconds, target, _) = row
        noted = _annotations(instructions, dict(decisions))
        variant = noted.pop(VARIANT_ANNOTATION)
        point = {name.removeprefix(PREFIX): int(value) for name, value in noted.items()}
        return Record(
            int(index),
            json.loads(variant),
            point,
            tuple(float(second) for second in seconds),
            target,
        )
    except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
        if isinstance(error, LogError):
            raise
        raise LogError(f"cannot be read as a record of a layer: {error!r}") from error


def _annotations(instructions: list[Any], decisions: dict[int, Any]) -> dict[str, Any]:
    """What a trace writes on the block, by name."""
    numbers: dict[str, int] = {}
    noted = {}
    for place, (kind, inputs, attributes, outputs) in enumerate(instructions):
        if kind == "SampleCategorical":
            numbers[outputs[0]] = attributes[0][decisions[place]]
        elif kind == "Annotate":
            _, value = inputs
            noted[attributes[0]] = numbers.get(value, value) if isinstance(value, str) else value
        elif kind == "EnterPostproc":
            break
        elif kind != "GetSBlock":
            raise LogError(f"a trace of a layer has no instruction {kind}")
    return noted
