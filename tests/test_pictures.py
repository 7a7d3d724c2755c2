"""The pictures of README.md and docs/ are those that their script draws, and can be read."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from paths import ROOT
from pictures import FOLDER, PICTURES
from pictures.benchmark import LAYERS, mean, rows
from pictures.phases import FACTOR, KERNEL, taps_of_resize
from PIL import ImageFont

from tvm_deconv.algebra.weights import weight_convolution

SVG = "{http://www.w3.org/2000/svg}"
DRAWN = sorted((ROOT / "docs").rglob("*.svg"))
# Wider than what a browser takes for it, on any system.
_FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


@pytest.mark.parametrize("name", PICTURES)
def test_a_committed_picture_is_what_the_script_draws(name):
    committed = (FOLDER / f"{name}.svg").read_text(encoding="utf-8")
    assert committed == str(PICTURES[name]()), "run python scripts/draw_pictures.py"


def test_no_picture_is_left_over():
    assert {path.stem for path in FOLDER.glob("*.svg")} == set(PICTURES)
    text = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    text += (ROOT / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in DRAWN if path.name not in text] == []


@pytest.mark.parametrize("path", DRAWN, ids=lambda path: path.name)
def test_a_picture_is_well_formed_and_says_what_it_is(path):
    root = ElementTree.parse(path).getroot()
    assert root.tag == f"{SVG}svg"
    assert len(root.findtext(f"{SVG}title") or "") > 10
    assert not re.search(r'(?:href|src)="(?!#)', path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_has_its_own_colours_for_light_and_for_dark_pages(name):
    root = ElementTree.fromstring(str(PICTURES[name]()))
    assert len(root.findtext(f"{SVG}desc") or "") > 50
    style = "".join(root.find(f"{SVG}style").itertext())
    light, _, dark = style.partition("@media (prefers-color-scheme:dark)")
    rules = [set(re.findall(r"\.([fs]-[\w-]+)\{", part)) for part in (light, dark)]
    used = {word for shape in root for word in (shape.get("class") or "").split()}
    assert rules == [used, used]
    paper = root.find(f"{SVG}rect")
    assert (paper.get("width"), paper.get("height")) == (root.get("width"), root.get("height"))


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_overlaps_another_or_leaves_the_picture(name):
    root = ElementTree.fromstring(str(PICTURES[name]()))
    boxes = [_box(text) for text in root.iter(f"{SVG}text")]
    width, height = float(root.get("width")), float(root.get("height"))
    for words, left, top, right, bottom in boxes:
        assert left >= 0 and top >= 0 and right <= width and bottom <= height, words
    for (one, *a), (other, *b) in combinations(boxes, 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{one!r} and {other!r}"


def _box(text: ElementTree.Element) -> tuple[str, float, float, float, float]:
    """The words, and where they are: left, top, right, bottom."""
    words, size = "".join(text.itertext()), float(text.get("font-size"))
    font = _FONT.with_name("DejaVuSans-Bold.ttf") if text.get("font-weight") else _FONT
    length = ImageFont.truetype(font, 100).getlength(words) * size / 100
    shift = {"start": 0, "middle": length / 2, "end": length}[text.get("text-anchor")]
    left, base = float(text.get("x")) - shift, float(text.get("y"))
    return words, left, base - 0.8 * size, left + length, base + 0.2 * size


def test_ratios_and_means_of_the_benchmark_are_those_of_its_times():
    table = rows()
    assert len(table) == 19
    for row in table:
        # The times are rounded to a hundredth, the ratio was taken before.
        slack = row.ratio * (0.005 / row.ours + 0.005 / row.theirs) + 0.005
        assert row.theirs / row.ours == pytest.approx(row.ratio, abs=slack), row.name
    page = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    said = re.search(r"ratios: ([\d.]+) for the layers, ([\d.]+) for the networks", page)
    means = [mean(table[:LAYERS]), mean(table[LAYERS:])]
    assert [float(number) for number in said.groups()] == pytest.approx(means, abs=0.01)


def test_the_taps_in_the_picture_of_phases_are_those_of_the_algebra():
    for k in range(KERNEL):
        one = np.zeros((1, 1, KERNEL, 1), "float32")
        one[0, 0, k, 0] = 1
        taps = weight_convolution(one, (FACTOR, 1))[0, 0, :, 0]
        assert taps.tolist() == [float(f"w{k}" in words.split(" + ")) for words in taps_of_resize()]
