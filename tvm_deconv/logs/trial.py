"""One line of ``trials.jsonl``: what was tried, and what came of it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tvm_deconv.errors import LogError, VariantError
from tvm_deconv.measure.facts import now
from tvm_deconv.schedules.machines import Machine, variants_of_dtype
from tvm_deconv.schedules.space import parameters_of, point_of

from .layer import Candidate, Layer

OK = "ok"
# The two in which each candidate is measured once, those of a final, and those of a contestant that
# failed in another turn of it.
SEARCHED, FINAL, FAILED_FINAL = ("default", "search"), "final", "failed final"
STAGES = (*SEARCHED, FINAL, FAILED_FINAL)
# More of a compiler's message helps nobody, and a log is read by people.
_ERROR_LENGTH = 300


@dataclass(frozen=True)
class Trial:
    """A candidate that was built and measured, or failed.

    It is one for ``layer`` or, with ``--all-ops``, for a function of another operator: then
    ``layer`` is None, ``function`` its digest, and ``variant`` who scheduled it (see ``ops``).
    ``name`` says in words which layer, ``parameters`` are those of ``point_of``. ``status`` is
    ``ok`` or names the kind of failure, which ``error`` explains. ``seconds`` are all samples of a
    call, of four digits. ``stage`` is one of ``STAGES``, ``date`` that of the end in UTC.
    ``versions`` are those of the header's ``versions`` that differ.
    """

    name: str
    layer: Layer | None
    variant: str
    parameters: dict[str, int]
    status: str
    seconds: tuple[float, ...]
    error: str | None
    seed: int
    stage: str
    date: str = field(default_factory=now)
    versions: dict[str, str | None] = field(default_factory=dict)
    function: str | None = None

    def __post_init__(self) -> None:
        # As they are read again from a line that holds them.
        rounded = tuple(_milliseconds(sample) / 1e3 for sample in self.seconds)
        object.__setattr__(self, "seconds", rounded)

    @staticmethod
    def of_function(
        digest: str,
        name: str,
        variant: str,
        status: str,
        seconds: Sequence[float] = (),
        error: str | None = None,
        *,
        seed: int,
        stage: str,
    ) -> Trial:
        """A trial of another operator's function that ends now; ``error`` is shortened."""
        samples, said = tuple(seconds), _shortened(error)
        return Trial(name, None, variant, {}, status, samples, said, seed, stage, function=digest)

    @staticmethod
    def of(
        candidate: Candidate,
        name: str,
        status: str,
        seconds: Sequence[float] = (),
        error: str | None = None,
        *,
        seed: int,
        stage: str,
    ) -> Trial:
        """A trial that ends now; ``error`` is shortened."""
        layer, variant, point = candidate.layer, candidate.variant, point_of(candidate.parameters)
        samples, said = tuple(seconds), _shortened(error)
        return Trial(name, layer, variant.name, point, status, samples, said, seed, stage)

    @property
    def subject(self) -> Layer | str:
        """What was tuned: a layer, or the digest of a function."""
        return self.layer or str(self.function)

    @property
    def median(self) -> float:
        """Seconds. Raises ValueError (StatisticsError) for a failure."""
        return median(self.seconds)

    def candidate(self, machine: Machine) -> Candidate:
        """With the variant of this name that is the machine's.

        Raises LogError or VariantError for a variant or parameters that this version lacks.
        """
        if self.layer is None:
            raise LogError(f"a trial of function {self.function} is not one of a layer")
        return candidate_from(self.layer, self.variant, self.parameters, machine)

    def as_json(self) -> str:
        """One line, for people and for ``from_json``; what is as usual is left out.

        All parameters stand there: those that a later version has by default may be others.
        """
        fields = (f"{name}={value}" for name, value in self.parameters.items())
        described: dict[str, Any] = {
            **({"function": self.function} if self.layer is None else {"layer": str(self.layer)}),
            "kernel": " ".join((self.variant, *fields)),
            **({"ms": list(map(_milliseconds, self.seconds))} if self.seconds else {}),
            **({"status": self.status} if self.status != OK else {}),
            **({"error": self.error} if self.error else {}),
            "stage": self.stage,
            "seed": self.seed,
            "date": self.date,
            "name": self.name,
            **({"versions": self.versions} if self.versions else {}),
        }
        return json.dumps(described, separators=(",", ":"))

    @staticmethod
    def from_json(read: Any) -> Trial:
        """The inverse of ``as_json``, from what ``json.loads`` makes of it.

        Raises LogError for what is no trial.
        """
        try:
            variant, *fields = read["kernel"].split(" ")
            point = (field.split("=") for field in fields)
            function = read.get("function")
            trial = Trial(
                str(read["name"]),
                Layer.parse(read["layer"]) if function is None else None,
                variant,
                {name: int(value) for name, value in point},
                str(read.get("status", OK)),
                tuple(float(sample) / 1e3 for sample in read.get("ms", ())),
                read.get("error"),
                int(read["seed"]),
                str(read["stage"]),
                str(read["date"]),
                dict(read.get("versions", {})),
                function and str(function),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            if isinstance(error, LogError):
                raise
            raise LogError(f"not a trial: {type(error).__name__} {error}") from error
        if (trial.status == OK) != bool(trial.seconds):
            raise LogError(f"a trial with status {trial.status!r} has {len(trial.seconds)} samples")
        if trial.stage not in STAGES:
            raise LogError(f"stage {trial.stage!r} of a trial is none of {', '.join(STAGES)}")
        return trial


def _milliseconds(seconds: float) -> float:
    """Four digits: more of a measurement is noise."""
    return float(f"{seconds * 1e3:.4g}")


def _shortened(error: str | None) -> str | None:
    return error and textwrap.shorten(error, _ERROR_LENGTH, placeholder=" ...")


def candidate_from(
    layer: Layer, variant: str, point: Mapping[str, int], machine: Machine
) -> Candidate:
    """A candidate from what a log of a device like ``machine`` holds of it.

    Raises LogError for a variant that this version lacks for the layer's dtype, VariantError for
    parameters that it does.
    """
    found = variants_of_dtype(machine, layer.dtype).get(variant)
    if found is None:
        raise LogError(f"variant {variant!r} is not known for {layer.dtype}")
    return Candidate(layer, found, parameters_of(found, point))


def is_known(trial: Trial, machine: Machine) -> bool:
    """Whether this version still has the trial's variant, with these parameters."""
    if trial.layer is None:
        return True
    try:
        trial.candidate(machine)
    except (LogError, VariantError):
        return False
    return True
