"""What a caller may say about how a network is computed, in one record."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tvm.target import Target

from tvm_deconv.logs.find import AUTO as AUTO_LOG
from tvm_deconv.logs.find import LogSpec, resolve_log
from tvm_deconv.option_types import check_flag
from tvm_deconv.schedules.budget import Growth
from tvm_deconv.schedules.choice import AUTO
from tvm_deconv.schedules.chooser import Chooser
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE
from tvm_deconv.transform.choosing import chooser_of


@dataclass(frozen=True)
class Options:
    """The keyword arguments that all who compile share, and what they are without a word.

    ``tvm_deconv.compile`` says what each means. Raises OptionError for a ``rewrite`` that is no
    bool; the others are checked where they are used.
    """

    rewrite: bool = True
    variant: str = AUTO
    winograd: bool = True
    log: LogSpec = AUTO_LOG
    max_weight_growth: Growth = AUTO
    accumulate: str = ACCUMULATE_DTYPE

    def __post_init__(self) -> None:
        check_flag("rewrite", self.rewrite)

    def with_log_of(self, target: Target) -> tuple[Options, str]:
        """The same with the log that is found for ``target``, and a sentence about that.

        Raises LogError as ``logs.find.resolve_log`` does.
        """
        found, words = resolve_log(self.log, target)
        return replace(self, log=found), words

    def chooser(self, target: Target) -> Chooser:
        """What chooses for ``target`` as they say. Raises what ``choosing.chooser_of`` does."""
        return chooser_of(
            target,
            variant=self.variant,
            winograd=self.winograd,
            log=self.log,
            max_weight_growth=self.max_weight_growth,
            accumulate=self.accumulate,
        )

    @property
    def allow_integers(self) -> bool:
        """Whether layers of bytes may be computed in integers: named variants are of float32."""
        return self.variant == AUTO
