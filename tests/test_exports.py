"""The table of exports: that it notices every outcome, and a few of its cases."""

from __future__ import annotations

import json
from importlib.util import find_spec

import pytest
import torch
from exports.architectures import Architecture, H, N, W
from exports.architectures.table import ARCHITECTURES
from exports.case import ExportCase
from exports.exporters import EXPORTERS
from exports.page import BEGIN, END, updated
from paths import ROOT
from torch import nn

import tvm_deconv

# PyTorch's own, of what its exporters do without.
pytestmark = pytest.mark.filterwarnings("ignore")


def run(architecture, exporter, free):
    steps = []
    outcome = ExportCase(architecture, exporter, free).run(steps.append)
    return outcome, steps


@pytest.mark.parametrize(
    ("name", "exporter", "free"),
    [
        ("ESPCN", "ONNX by tracing, opset 11", True),
        ("DCGAN", "torch.export", False),
        ("ESPCN", "ONNX by dynamo, opset 18", False),
    ],
)
def test_an_architecture_is_right_through_an_exporter(name, exporter, free):
    if "dynamo" in exporter and not find_spec("onnxscript"):
        pytest.skip("PyTorch's exporter needs onnxscript: pip install 'tvm-deconv[train]'")
    outcome, steps = run(ARCHITECTURES[name], EXPORTERS[exporter], free)
    assert outcome.kind == "ok", outcome
    assert steps == ["make", "reference", "compile", *["run"] * (3 if free else 1)]


def test_each_architecture_takes_its_sizes_and_shows_rounding_only():
    for name, architecture in ARCHITECTURES.items():
        assert len(architecture.sizes) == 3, name
        assert all(size for size in architecture.free()), name
        module = architecture.module()
        with torch.no_grad():
            found = module(*architecture.feed(2))
        for result in found if isinstance(found, list) else [found]:
            # One that is flat would hide a layer that is computed wrongly.
            assert result.isfinite().all(), name
            assert result.std() > 0.01, name


class Twice(nn.Module):
    def forward(self, x):
        return x + x


class Spectrum(nn.Module):
    def forward(self, x):
        return torch.fft.fft(x).abs()


def small(make):
    return Architecture(make, ((N, 2, H, W),), ({"n": 1, "h": 3, "w": 4},) * 3)


def exported(module, inputs, free):
    return torch.export.export(module, inputs, strict=False)


def exported_otherwise(module, inputs, free):
    return torch.export.export(nn.ReLU(), inputs, strict=False)


def test_an_export_that_computes_something_else_is_not_held_against_us():
    outcome, _ = run(small(nn.Tanh), exported_otherwise, False)
    assert outcome.kind == "invalid"
    assert "the export itself: result 0" in outcome.message


def test_what_pytorch_refuses_is_not_exported():
    outcome, _ = run(ARCHITECTURES["IFNet"], EXPORTERS["ONNX by tracing, opset 11"], False)
    assert outcome.kind == "invalid"
    assert "grid_sampler" in outcome.message


def test_a_refusal_is_the_line_that_names_node_and_operator():
    outcome, _ = run(small(Spectrum), exported, False)
    assert outcome.kind == "refused"
    assert "fft" in outcome.message


def test_a_wrong_result_is_noticed(monkeypatch):
    compile_right = tvm_deconv.compile

    def compile_wrong(model):
        return compile_right(torch.export.export(Twice(), (torch.zeros(1, 2, 3, 4),)))

    monkeypatch.setattr(tvm_deconv, "compile", compile_wrong)
    outcome, _ = run(small(nn.Tanh), exported, False)
    assert outcome.kind == "wrong"
    assert "inputs [(1, 2, 3, 4)]: result 0: 100.0% of the elements off" in outcome.message


def test_the_page_shows_the_record():
    page = (ROOT / "docs" / "exports.md").read_text(encoding="utf-8")
    assert updated(page, ROOT / "docs" / "exports.json") == page


def test_the_page_counts_cases_and_names_those_that_are_refused(tmp_path):
    def case(architecture, sizes, outcome, **more):
        return {
            "architecture": architecture,
            "exporter": "torch.export",
            "sizes": sizes,
            "outcome": outcome,
            **more,
        }

    packages = ("torch", "onnx", "onnxscript", "onnxruntime", "apache-tvm")
    record = {
        "machine": {"cpu": "Test CPU"},
        "versions": dict.fromkeys(packages, "1.2"),
        "date": "2026-11-28T00:00:00+00:00",
        "cases": [
            case("A", "fixed", "ok", compile_seconds=2.0),
            case("A", "free", "ok", compile_seconds=3.0),
            case("B", "fixed", "refused", message="main: Pad 'p': no"),
            case("B", "free", "invalid", message="PyTorch: no"),
            case("C", "fixed", "hang", message="hangs in step compile"),
        ],
    }
    path = tmp_path / "record.json"
    path.write_text(json.dumps(record))
    page = updated(f"before\n{BEGIN}\nold\n{END}\nafter\n", path)
    assert page.startswith("before\n") and page.endswith("\nafter\n") and "old" not in page
    assert "| exported by PyTorch | 4 |" in page
    assert "| compiled, and right | 2 (50.0 %) |" in page
    assert "| ended by an exception, a crash or the time limit | 1 |" in page
    assert "| compiling for free sizes takes, median | 1.5 times as long |" in page
    assert "| A | ✓ ✓ |\n| B | R - |\n| C | ✗ |" in page
    assert "- 1: `main: Pad 'p': no`\n  - B, fixed (torch.export)" in page
