"""Squares of vectors, transposed in registers."""

from __future__ import annotations

from typing import Any

from tvm.script.ir_builder import tirx as T

from .edit import shuffle


def transposed(rows: list[Any], lanes: int) -> list[Any]:
    """``rows[i][j]`` as ``result[j][i]``, of as many vectors as a vector has lanes.

    Vectors exchange every second lane with their neighbour, then every second pair of lanes with
    the next but one, and so on: one shuffle of two vectors for each vector and step. Within an
    ``IRBuilder``, which the steps are bound in.
    """
    step = 1
    while step < lanes:
        first = [j if not j & step else lanes + j - step for j in range(lanes)]
        second = [j + step if not j & step else lanes + j for j in range(lanes)]
        new = list(rows)
        for i in range(lanes):
            if not i & step:
                pair = [rows[i], rows[i + step]]
                new[i] = T.bind(shuffle(pair, first))
                new[i + step] = T.bind(shuffle(pair, second))
        rows, step = new, step * 2
    return rows
