"""The arithmetic of ``taps`` in expressions of TensorIR."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import tirx


@dataclass(frozen=True)
class TensorIR:
    """The arithmetic of ``taps.Numbers`` in expressions of TensorIR."""

    dtype: str

    def number(self, x: Any) -> Any:
        """A size or an index in the type of this arithmetic."""
        return tirx.const(x, self.dtype) if isinstance(x, int) else x.astype(self.dtype)

    def floor(self, x: Any) -> Any:
        return tirx.floor(x)

    def ceil(self, x: Any) -> Any:
        return tirx.ceil(x)

    def least(self, x: Any, y: Any) -> Any:
        return tirx.min(x, self._expr(y))

    def largest(self, x: Any, y: Any) -> Any:
        return tirx.max(x, self._expr(y))

    def equal(self, x: Any, y: Any) -> Any:
        return tirx.EQ(x, self._expr(y))

    def either(self, a: Any, b: Any) -> Any:
        return tirx.any(a, b)

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        return tirx.Select(condition, self._expr(x), self._expr(y))

    def double(self, x: Any) -> Any:
        return x.astype("float64")

    def single(self, x: Any) -> Any:
        return x.astype(self.dtype)

    def _expr(self, x: Any) -> Any:
        return tirx.const(x, self.dtype) if isinstance(x, (int, float)) else x
