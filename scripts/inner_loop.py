"""The inner loop of a kernel's AArch64 assembly, and its cycles by LLVM's machine code analyser.

A loop is the text between a label and a later branch back to it. Among the loops that hold no
other loop, the reduction is the one that does nothing with vectors of numbers but multiply-adds,
and stores nothing, unless on the stack; a kernel whose phases have unlike numbers of taps has
several. The loops of Winograd's transforms multiply and add too, and some do nothing else, but
store what they computed.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

_LABEL = re.compile(r"^([.\w$]+):")
_BRANCH = re.compile(r"^\s+(?:b|b\.\w+|cbn?z|tbn?z)\s+(?:.*,\s*)?([.\w$]+)$")
_MULTIPLY_ADD = re.compile(r"^\s+(fml[as]|sdot|smlal|mla)2?\s+v\d+\.\d\w,")
# The rest of the arithmetic on vectors of numbers; fcvt and fmov compute nothing.
_OTHER_ARITHMETIC = re.compile(r"^\s+f(?:add|sub|mul|neg|abd|div|max|min)\w*\s+v\d+\.\d\w,")
_LOAD = re.compile(r"^\s+ld\w+\s")
_STORE = re.compile(r"^\s+st\w+\s")
_BASE = re.compile(r"\[(\w+)")
# An instruction that writes its first operand, and its second operand.
_COMPUTED = re.compile(r"^\s+(?!st|c?cm[pn]|tst|cbn?z|tbn?z)\w+\s+(x\d+), (\[?\w+)")
_FRAME_SET = re.compile(r"^\s+(?:mov|add|sub)\s+x29, sp\b")

# LLVM 14 and 16 hold Neoverse N1 for a Cortex-A57; 19 is the oldest seen to know its pipelines.
_OLDEST, _NEWEST = 19, 40
# More than are ever under way at once, so that the block below is bound by throughput alone.
_INDEPENDENT = 24


@dataclass(frozen=True)
class Loop:
    """One innermost loop: its instructions, in order, with the branch that closes it.

    ``frame`` are the registers that address the stack in the loop's function.
    """

    instructions: tuple[str, ...]
    frame: tuple[str, ...]

    @property
    def multiply_adds(self) -> int:
        return sum(bool(_MULTIPLY_ADD.match(line)) for line in self.instructions)

    @property
    def instruction(self) -> str:
        """The one that multiplies and adds, that of the other half of a register included."""
        found = (_MULTIPLY_ADD.match(line) for line in self.instructions)
        return next(match[1] for match in found if match)

    @property
    def is_reduction(self) -> bool:
        """Whether multiply-adds are all that it does with vectors of numbers, and sums are kept."""
        others = any(_OTHER_ARITHMETIC.match(line) for line in self.instructions)
        stores = sum(bool(_STORE.match(line)) for line in self.instructions)
        return self.multiply_adds > 0 and not others and stores == self.spills

    @property
    def loads(self) -> int:
        """Load instructions, those from the stack included."""
        return sum(bool(_LOAD.match(line)) for line in self.instructions)

    @property
    def spills(self) -> int:
        """Stores to the stack."""
        return sum(bool(_STORE.match(line)) for line in self._stack_accesses())

    @property
    def reloads(self) -> int:
        """Loads from the stack."""
        return sum(bool(_LOAD.match(line)) for line in self._stack_accesses())

    def _stack_accesses(self) -> Iterator[str]:
        """Instructions through a register of the frame, or through one computed from it here."""
        pointers = set(self.frame)
        for line in self.instructions:
            base = _BASE.search(line)
            if base and base[1] in pointers:
                yield line
            computed = _COMPUTED.match(line)
            if computed and computed[2] in pointers:
                pointers.add(computed[1])
            elif computed and computed[1] not in self.frame:
                pointers.discard(computed[1])


def reduction_loops(assembly: str) -> list[Loop]:
    """The innermost loops that only multiply and add, in the order of the text."""
    lines = [line.split("//")[0].rstrip() for line in assembly.splitlines()]
    labels = {m[1]: i for i, line in enumerate(lines) if (m := _LABEL.match(line))}
    spans = sorted(_loop_spans(lines, labels), key=lambda span: span[1] - span[0])
    innermost: list[tuple[int, int]] = []
    for begin, end in spans:
        if not any(begin <= inner <= end for inner, _ in innermost):
            innermost.append((begin, end))
    loops = (_loop(lines, begin, end) for begin, end in sorted(innermost))
    return [loop for loop in loops if loop.is_reduction]


def _loop_spans(lines: list[str], labels: dict[str, int]) -> Iterator[tuple[int, int]]:
    """Line numbers of each label and the last branch back to it."""
    last: dict[int, int] = {}
    for i, line in enumerate(lines):
        branch = _BRANCH.match(line)
        target = labels.get(branch[1]) if branch else None
        if target is not None and target < i:
            last[target] = i
    yield from last.items()


def _loop(lines: list[str], begin: int, end: int) -> Loop:
    code = [line for line in lines[begin : end + 1] if _is_instruction(line)]
    function = next((i for i in reversed(range(begin)) if _is_function(lines[i])), 0)
    frame = ["sp"]
    if any(_FRAME_SET.match(line) for line in lines[function:begin]):
        frame.append("x29")
    return Loop(tuple(code), (*frame, *_pointers(lines[function:begin])))


def _pointers(before: list[str]) -> list[str]:
    """Registers that hold a place on the stack where a loop begins, behind these lines."""
    found: dict[str, None] = {}
    for line in before:
        computed = _COMPUTED.match(line)
        if computed and computed[2] == "sp" and line.split()[0] in ("add", "mov", "sub"):
            found[computed[1]] = None
        elif computed:
            found.pop(computed[1], None)
    found.pop("x29", None)
    return list(found)


def _is_instruction(line: str) -> bool:
    return line[:1].isspace() and not line.lstrip().startswith(".") and bool(line.strip())


def _is_function(line: str) -> bool:
    label = _LABEL.match(line)
    return label is not None and not label[1].startswith(".")


class NoAnalyser(Exception):
    """There is no llvm-mca that knows these processors; the message says what to install."""


@cache
def analyser() -> str:
    """The newest llvm-mca of this machine. Raises NoAnalyser if it has none of LLVM 19 or later."""
    names = [f"llvm-mca-{version}" for version in range(_NEWEST, _OLDEST - 1, -1)]
    for name in (*names, "llvm-mca"):
        path = shutil.which(name)
        if path is not None and _version(path) >= _OLDEST:
            return path
    raise NoAnalyser(f"no llvm-mca of LLVM {_OLDEST} or later: apt install llvm-19")


def _version(path: str) -> int:
    text = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)", text)
    return int(found[1]) if found else 0


def cycles(instructions: tuple[str, ...], processor: str) -> float:
    """Cycles of one more iteration of a loop in its steady state, every load from level 1."""
    few, many = 100, 300
    total = [_total_cycles(instructions, processor, count) for count in (few, many)]
    return (total[1] - total[0]) / (many - few)


# Each with operands that no other one writes.
_OPERANDS = {
    "fmla": "v30.4s, v31.s[0]",
    "sdot": "v30.16b, v31.16b",
    "smlal": "v30.4h, v31.4h",
    "mla": "v30.4s, v31.4s",
}


@cache
def cycles_per_multiply_add(processor: str, instruction: str = "fmla") -> float:
    """The processor's bound: a block of independent multiply-adds."""
    operands = _OPERANDS[instruction]
    block = tuple(f"\t{instruction}\tv{i}.4s, {operands}" for i in range(_INDEPENDENT))
    return cycles(block, processor) / _INDEPENDENT


def _total_cycles(instructions: tuple[str, ...], processor: str, iterations: int) -> int:
    command = [analyser(), "-mtriple=aarch64-linux-gnu", f"-mcpu={processor}", "--json"]
    run = subprocess.run(
        [*command, f"-iterations={iterations}"],
        input="\n".join(instructions) + "\n",
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {run.stderr.strip()}")
    (region,) = json.loads(run.stdout)["CodeRegions"]
    return int(region["SummaryView"]["TotalCycles"])
