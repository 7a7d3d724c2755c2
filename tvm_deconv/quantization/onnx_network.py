"""An ONNX network of pictures, run by ONNX Runtime as its graph stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from tvm_deconv.checking.onnx_session import session_of
from tvm_deconv.errors import ImageError, QuantizationError, first_line
from tvm_deconv.metadata import Metadata
from tvm_deconv.pictures.network import PictureNetwork


@dataclass(frozen=True)
class OnnxNetwork(PictureNetwork):
    """A network of one input, which the session takes."""

    session: Any

    @classmethod
    def of(cls, name: str, description: Metadata, model: onnx.ModelProto) -> OnnxNetwork:
        """The network that ``description`` describes.

        Raises QuantizationError for a model that ONNX Runtime refuses.
        """
        try:
            session = session_of(model)
        except Exception as error:  # ONNX Runtime's classes have no common base but this
            raise QuantizationError(f"ONNX Runtime refuses {name}: {first_line(error)}") from error
        return cls(name, description, session)

    @property
    def input_name(self) -> str:
        """What the graph calls its input."""
        return self.session.get_inputs()[0].name

    def feed(self, planes: np.ndarray) -> dict[str, np.ndarray]:
        """``planes`` (1, channels, height, width) as the session takes them."""
        return {self.input_name: self.given(planes)}

    def __call__(self, planes: np.ndarray) -> np.ndarray:
        try:
            (result,) = self.session.run(None, self.feed(planes))
        except Exception as error:
            height, width = planes.shape[2:]
            raise ImageError(
                f"{self.name} cannot compute pictures of {width} x {height} pixels: "
                f"{first_line(error)}"
            ) from error
        return self.layout.to_planes(result)
