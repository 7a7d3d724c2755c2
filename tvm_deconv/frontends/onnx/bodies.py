"""Branches and loops written out: an If, Loop or Scan of which it is known what will be done.

    If    with a constant condition          =>  the nodes of the branch that is taken
    Loop  of a known count and condition     =>  a copy of its body for each turn
    Scan  over tensors of a fixed length     =>  likewise

A turn's copy reads what the turn before has made of the carried tensors. Whether there is another
turn may be computed in this one, so a Loop becomes its next turn and the Loop of the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from onnx import helper, numpy_helper

from tvm_deconv.errors import ModelError, first_line

from .facts import Facts
from .nodes import STANDARD, attributes, bodies, describe
from .steps import Steps

# Of one loop: each of them is compiled.
MOST_TURNS = 100
# The first opsets in which Scan has no batches of sequences, and Unsqueeze no attribute of axes.
_PLAIN_SCAN, _AXES_ARE_INPUTS = 9, 13
# Attributes of a Loop that goes on: how many turns there were, and what they gave to be joined.
_TURN, _GIVEN = "turn", "given"

Nodes = list[onnx.NodeProto]


def is_loop(node: onnx.NodeProto) -> bool:
    """Whether the node is a loop, which may be written out."""
    return node.domain in STANDARD and node.op_type in ("Loop", "Scan")


def body_written_out(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The nodes that replace an If, Loop or Scan; None for others, and where that is not known.

    Raises ModelError for a Loop of which only the first turns are known, and for more turns than
    MOST_TURNS.
    """
    if node.domain not in STANDARD or node.op_type not in _WAYS:
        return None
    try:
        return _WAYS[node.op_type](node, facts)
    except _TooLong as error:
        raise ModelError(f"{facts.name}: {describe(node, facts.opset)}: {error}") from error


def array_of(tensor: onnx.TensorProto, name: str) -> np.ndarray:
    """The values of a weight of the model ``name``. Raises ModelError for one that is damaged."""
    try:
        return numpy_helper.to_array(tensor).reshape(tuple(tensor.dims))
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{name}: weight {tensor.name!r} of shape {list(tensor.dims)} is damaged: "
            f"{first_line(error)}"
        ) from error


class _TooLong(ModelError):
    """A loop that cannot be written out to its end."""


def _taken_branch(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    condition = _scalar(node.input[0], facts) if node.input else None
    if condition is None:
        return None
    branch = attributes(node).get("then_branch" if condition else "else_branch")
    if branch is None:
        return None
    steps = Steps(node, facts)
    _end(steps, _copied(branch, [], steps), [])
    return steps.nodes


def _next_turn(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """The next turn of a Loop and the Loop of the others; at the end, what all have made."""
    most, condition, *carried = [*node.input, "", ""][: max(2, len(node.input))]
    options = attributes(node)
    turn, given, body = options.get(_TURN, 0), options.get(_GIVEN, []), options["body"]
    limit, holds = _scalar(most, facts), _scalar(condition, facts)
    if (most and limit is None) or (condition and holds is None):
        if turn == 0:
            return None
        raise _TooLong(f"whether there is a turn after {turn} is computed at run time")
    steps = Steps(node, facts)
    if (most and turn >= limit) or (condition and not holds):
        joined = len(body.output) - 1 - len(carried)
        if not turn and any(node.output[len(carried) :]):
            return None
        _end(steps, carried, [given[i::joined] for i in range(joined)])
        return steps.nodes
    if turn == MOST_TURNS:
        raise _TooLong(f"it has more than {MOST_TURNS} turns: each would be compiled")
    place = steps.constant(_TURN, np.array(turn, np.int64))
    before = condition or steps.constant("condition", np.array(True))
    after, *results = _copied(body, [place, before, *carried], steps)
    carried, given = results[: len(carried)], [*given, *results[len(carried) :]]
    rest = helper.make_node(
        "Loop",
        [most, condition and after, *carried],
        node.output,
        name=node.name,
        body=body,
        **{_TURN: turn + 1, **({_GIVEN: given} if given else {})},
    )
    return [*steps.nodes, rest]


def _all_turns(node: onnx.NodeProto, facts: Facts) -> Nodes | None:
    """Those of a Scan, each of which reads an element of every sequence, in its direction."""
    options = attributes(node)
    body, read = options["body"], options["num_scan_inputs"]
    carried, sequences = list(node.input[:-read]), node.input[-read:]
    axes = options.get("scan_input_axes", [0] * read)
    backwards = options.get("scan_input_directions", [0] * read)
    lengths = {_length(key, axis, facts) for key, axis in zip(sequences, axes, strict=True)}
    length = lengths.pop()
    if facts.opset < _PLAIN_SCAN or lengths or not length:
        return None
    if length > MOST_TURNS:
        raise _TooLong(f"it has {length} turns, more than {MOST_TURNS}: each would be compiled")
    steps = Steps(node, facts)
    made = []
    for turn in range(length):
        elements = []
        for key, axis, back in zip(sequences, axes, backwards, strict=True):
            place = np.array(length - 1 - turn if back else turn, np.int64)
            elements.append(steps("Gather", key, steps.constant(_TURN, place), axis=axis))
        results = _copied(body, [*carried, *elements], steps)
        carried = results[: len(carried)]
        made.append(results[len(carried) :])
    rows = [list(row) for row in zip(*made, strict=True)]
    for row, back in zip(rows, options.get("scan_output_directions", []), strict=False):
        row[:] = row[::-1] if back else row
    _end(steps, carried, rows, options.get("scan_output_axes", ()))
    return steps.nodes


_WAYS: dict[str, Callable[[onnx.NodeProto, Facts], Nodes | None]] = {
    "If": _taken_branch,
    "Loop": _next_turn,
    "Scan": _all_turns,
}


def _scalar(key: str, facts: Facts) -> int | None:
    """A constant of one element."""
    value = facts.values.get(key)
    return int(value.item()) if value is not None and value.size == 1 else None


def _length(key: str, axis: int, facts: Facts) -> int | None:
    sizes = facts.shape(key)
    return sizes[axis] if sizes is not None and -len(sizes) <= axis < len(sizes) else None


def _copied(body: onnx.GraphProto, given: Sequence[str], steps: Steps) -> list[str]:
    """Add the nodes of a body that is ``given`` its inputs; the names of its results.

    Names inside get the first output of the branching node before them: another branch, and each
    turn, makes tensors of the same names.
    """
    facts = steps.facts
    prefix = next(filter(None, steps.node.output))
    names = dict(zip((value.name for value in body.input), given, strict=True))
    inner = [tensor.name for tensor in body.initializer]
    inner += [key for node in body.node for key in node.output if key]
    names |= {key: facts.fresh(f"{prefix}/{key}") for key in inner}
    for tensor in body.initializer:
        facts.set_value(names[tensor.name], array_of(tensor, facts.name))
    for node in body.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        _rename(copy, names)
        steps.nodes.append(copy)
    return [names.get(value.name, value.name) for value in body.output]


def _rename(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    """Let the node read and make tensors by other names, in its own branches and bodies, too."""
    for keys in (node.input, node.output):
        keys[:] = [names.get(key, key) for key in keys]
    for body in bodies(node):
        made = {value.name for value in (*body.input, *body.initializer)}
        made |= {key for step in body.node for key in step.output}
        outer = {key: name for key, name in names.items() if key not in made}
        for step in body.node:
            _rename(step, outer)
        for value in body.output:
            value.name = outer.get(value.name, value.name)


def _end(
    steps: Steps, carried: Sequence[str], rows: Sequence[Sequence[str]], axes: Sequence[int] = ()
) -> None:
    """Make the outputs: what is carried, then what each turn gave, joined along a new axis."""
    outputs = steps.node.output
    for value, output in zip(carried, outputs, strict=False):
        if output:
            steps("Identity", value, to=output)
    for index, (row, output) in enumerate(zip(rows, outputs[len(carried) :], strict=False)):
        if not output:
            continue
        axis = axes[index] if axes else 0
        raised = [_unsqueezed(steps, value, axis) for value in row]
        steps("Concat", *raised, to=output, axis=axis)


def _unsqueezed(steps: Steps, value: str, axis: int) -> str:
    if steps.facts.opset < _AXES_ARE_INPUTS:
        return steps("Unsqueeze", value, axes=[axis])
    return steps("Unsqueeze", value, steps.constant("axes", np.array([axis], np.int64)))
