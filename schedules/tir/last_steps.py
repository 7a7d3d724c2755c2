"""What every function for a processor goes through last, whatever scheduled it."""

from __future__ import annotations

from tvm import tirx

from .conditions import with_named_conditions
from .names import with_own_names
from .periods import with_whole_periods
from .pieces import with_joined_pieces
from .sizes import with_sizes_from_zero
from .vector_math import with_vector_math

# The attribute of a function for which LLVM is to optimize no more than that, whatever the target.
OPT_LEVEL = "tvm_deconv.opt_level"

# The attribute of a function whose named values TVM is not to simplify when it makes LLVM's code.
NAMES_IN_MEMORY = "tvm_deconv.names_in_memory"


def for_llvm(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, scheduled, less what LLVM makes slow code of or misreads and TVM lowers slowly."""
    func = with_sizes_from_zero(with_whole_periods(with_vector_math(with_own_names(func))))
    return with_named_conditions(with_joined_pieces(func))
