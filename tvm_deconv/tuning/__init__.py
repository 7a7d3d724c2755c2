"""Tuning on a device over RPC, and the logs that it writes: ``tvm_deconv.tune`` is its front."""
