"""``tvm_deconv.algebra.geometry`` by the name that users import."""

from tvm_deconv.algebra.geometry import *  # noqa: F403
