"""Tuning logs that are shipped, a folder for each device; ``tvm_deconv.tuning.log`` reads them."""
