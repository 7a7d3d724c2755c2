"""A network as its contestants get it: the model and every input, each in a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx


class Files(NamedTuple):
    """A model, and by name, in its order, an array for each input and output, .onnx and .npy."""

    model: Path
    inputs: Mapping[str, Path]
    outputs: Mapping[str, Path]

    @classmethod
    def written(
        cls, folder: Path, name: str, model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]
    ) -> Files:
        """``NAME.onnx`` and the inputs in ``folder``; whoever computes it writes the outputs."""
        path = folder / f"{name}.onnx"
        onnx.save(model, path)
        # Numbered: a name may have any characters.
        given = {key: folder / f"input{number}.npy" for number, key in enumerate(inputs)}
        for key, file in given.items():
            np.save(file, inputs[key])
        results = {
            value.name: folder / f"output{number}.npy"
            for number, value in enumerate(model.graph.output)
        }
        return cls(path, given, results)

    def results(self) -> list[np.ndarray]:
        """What the outputs' files hold. Raises OSError and ValueError as NumPy does."""
        return [np.load(file) for file in self.outputs.values()]

    def forget_results(self) -> None:
        """Remove the outputs' files, so that nobody's results are taken for another's."""
        for file in self.outputs.values():
            file.unlink(missing_ok=True)
