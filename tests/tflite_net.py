"""TFLite files of a few operators on images, and their results held against LiteRT's."""

from __future__ import annotations

import numpy as np
from rows_compare import compare
from tflite_rows import TOLERANCE, Writer, compiled, floats, litert, options

SAME, VALID = 0, 1


class Net(Writer):
    """A chain of operators on images NHWC; -1 in ``shape`` is a free size."""

    def __init__(self, shape):
        super().__init__()
        self.input = self.tensor(shape)
        self.shape = shape

    def __call__(self, operator, *inputs, shape=None, kind=None, dtype=np.float32, **fields):
        result = self.tensor(shape or (1, 1, 1, 1), dtype)
        self.append(operator, list(inputs), [result], options(kind, **fields) if kind else None)
        return result

    def conv(self, x, c_in, c_out, k=3, **fields):
        how = {"padding": SAME, "strideH": 1, "strideW": 1, **fields}
        how |= {"dilationHFactor": 1, "dilationWFactor": 1}
        weights = self.constant(floats(c_out, k, k, c_in) / (k * c_in**0.5))
        bias = self.constant(floats(c_out))
        return self("CONV_2D", x, weights, bias, kind="Conv2D", **how)

    def integers(self, *values):
        return self.constant(np.array(values, np.int32))

    def transpose(self, x, *order):
        return self("TRANSPOSE", x, self.integers(*order))

    def file(self, folder, *results):
        path = folder / "net.tflite"
        path.write_bytes(self.finish([self.input], list(results)))
        return path


def check(path, *shapes):
    run = compiled(path)
    for shape in shapes:
        x = floats(*shape)
        (got,), (expected,) = run([x]), litert(path.read_bytes(), [x])
        compare(got, expected, {"float32": 2 * TOLERANCE["float32"]})
