"""``tvm_deconv.algebra.weights`` by the name that users import."""

from tvm_deconv.algebra.weights import *  # noqa: F403
