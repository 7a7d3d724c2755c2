"""ONNX Runtime whose threads sleep while there is nothing to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import onnxruntime
import pytest


class InferenceSession(onnxruntime.InferenceSession):
    """Its threads would wait by spinning.

    That is 4 ms of a processor for a session that is run at once, and more for one that is there
    while we compile. Without, a small network takes 0.5 ms.
    """

    def __init__(self, model, sess_options=None, *rest, **more):
        options = sess_options or onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        super().__init__(model, options, *rest, **more)


@contextmanager
def sleeping_sessions() -> Iterator[None]:
    """ONNX Runtime's sessions are such within."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime, "InferenceSession", InferenceSession)
        yield
