"""What docs/relay.md shows runs, and the names that pages mention are there."""

from __future__ import annotations

import re

import numpy as np
import onnx
import onnxruntime
import pytest
import relay_reference
from paths import MODELS, ROOT
from relay_helpers import assert_close
from tvm import relay

import tvm_deconv.relay

PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PAGE = (ROOT / "docs" / "relay.md").read_text(encoding="utf-8")


def test_the_programs_of_the_page_run(tmp_path, monkeypatch, capsys):
    (tmp_path / "network.onnx").symlink_to(MODELS / "espcn_x3.onnx")
    monkeypatch.chdir(tmp_path)
    programs = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert programs
    exec("\n".join(programs), {})
    assert "1 rewritten, 0 refused" in capsys.readouterr().out


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *(ROOT / "docs").glob("*.md")], ids=lambda page: page.stem
)
def test_names_of_the_package_that_a_page_mentions_exist(page):
    for name in set(re.findall(r"\btvm_deconv\.relay\.(\w+)", page.read_text(encoding="utf-8"))):
        assert hasattr(tvm_deconv.relay, name), name


@pytest.mark.parametrize("name", ["espcn_x3", "resize_x3"])
def test_a_demo_network_equals_onnx_runtime_after_the_rewrite(name):
    model = onnx.load(MODELS / f"{name}.onnx")
    given = model.graph.input[0].name
    x = np.random.default_rng(0).random((1, 1, 13, 18), "float32")
    mod, _ = relay.frontend.from_onnx(model, {given: x.shape}, freeze_params=True)
    new, report = tvm_deconv.relay.rewrite_upsampling(mod)
    assert (len(report.rewritten), len(report.refused)) == (1, 0), report
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (expected,) = session.run(None, {given: x})
    assert_close(relay_reference.evaluate(new, x.astype(np.float64)), expected)
