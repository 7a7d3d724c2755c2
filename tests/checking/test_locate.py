"""Bisection over a graph of layers finds the one that is wrong, with few questions."""

import numpy as np
import pytest

from tvm_deconv.checking.locate import first_wrong
from tvm_deconv.checking.subject import Layer


def graph(seed: int, size: int) -> list[Layer]:
    """Layers that read one to three earlier ones; the last reads all that nobody reads."""
    random = np.random.default_rng(seed)
    reads = [()] + [tuple({int(random.integers(i)) for _ in range(3)}) for i in range(1, size - 1)]
    unread = set(range(size - 1)) - {source for sources in reads for source in sources}
    reads.append(tuple(unread))
    return [
        Layer(str(i), f"layer {i}", "Add", tuple(map(str, sources)))
        for i, sources in enumerate(reads)
    ]


def spoiled_by(layers: list[Layer], bad: str) -> set[str]:
    found = {bad}
    for layer in layers:
        if found & set(layer.sources):
            found.add(layer.key)
    return found


@pytest.mark.parametrize("seed", range(20))
def test_the_wrong_layer_is_found_in_any_graph_with_few_questions(seed):
    layers = graph(seed, 200)
    bad = layers[int(np.random.default_rng(seed).integers(200))].key
    spoiled, asked = spoiled_by(layers, bad), []

    def is_wrong(layer: Layer) -> bool:
        asked.append(layer.key)
        return layer.key in spoiled

    assert first_wrong(layers, layers[-1].key, is_wrong).key == bad
    assert len(asked) <= 60


def test_a_row_of_layers_takes_a_question_for_each_bit_of_their_number():
    layers = [Layer(str(i), "", "Relu", (str(i - 1),) if i else ()) for i in range(1000)]
    asked = []

    def is_wrong(layer: Layer) -> bool:
        asked.append(layer.key)
        return int(layer.key) >= 77

    assert first_wrong(layers, "999", is_wrong).key == "77"
    assert len(asked) <= 10


def test_a_layer_that_cannot_be_asked_is_passed_over():
    layers = [Layer(str(i), "", "Relu", (str(i - 1),) if i else ()) for i in range(8)]

    def is_wrong(layer: Layer) -> bool | None:
        return None if layer.key == "3" else int(layer.key) >= 3

    assert first_wrong(layers, "7", is_wrong).key == "4"


def test_the_output_is_wrong_where_all_before_it_is_right():
    layers = [Layer("a", "a", "Conv", ()), Layer("b", "b", "DepthToSpace", ("a",))]

    assert first_wrong(layers, "b", lambda _: False) == layers[1]
    assert first_wrong(layers, "x", lambda _: True) is None
