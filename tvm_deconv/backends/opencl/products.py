"""Products of bytes in OpenCL source: functions of ours, which the device's compiler makes.

A library holds source, so what the device has is asked where it is compiled: OpenCL's integer dot
product (``cl_khr_integer_dot_product`` 2.0), Arm's extensions of before, else plain products of
vectors, which a compiler may know an instruction for.
"""

from __future__ import annotations

import tvm_ffi
from tvm.target import Target

DOT4, DOT2 = "tvm_deconv_dot4", "tvm_deconv_dot2"

# Of words of 32 bits: four bytes each; two bytes of x, its lower half, and two int16 of w.
_SOURCE = f"""\
#ifndef TVM_DECONV_PRODUCTS
#define TVM_DECONV_PRODUCTS
#if defined(__opencl_c_integer_dot_product_input_4x8bit_packed)
#define TVM_DECONV_SUM4(x, w, sum) ((sum) + dot_4x8packed_ss_int(as_uint(x), as_uint(w)))
#elif defined(cl_arm_integer_dot_product_accumulate_int8)
#pragma OPENCL EXTENSION cl_arm_integer_dot_product_accumulate_int8 : enable
#define TVM_DECONV_SUM4(x, w, sum) arm_dot_acc(as_char4(x), as_char4(w), (sum))
#elif defined(cl_arm_integer_dot_product_int8)
#pragma OPENCL EXTENSION cl_arm_integer_dot_product_int8 : enable
#define TVM_DECONV_SUM4(x, w, sum) ((sum) + arm_dot(as_char4(x), as_char4(w)))
#else
#define TVM_DECONV_SUM4(x, w, sum) tvm_deconv_sum4(as_char4(x), as_char4(w), (sum))
int tvm_deconv_sum4(char4 x, char4 w, int sum);
int tvm_deconv_sum4(char4 x, char4 w, int sum) {{
  return sum + x.s0 * w.s0 + x.s1 * w.s1 + x.s2 * w.s2 + x.s3 * w.s3;
}}
#endif
int {DOT4}(int x, int w, int sum);
int {DOT4}(int x, int w, int sum) {{
  return TVM_DECONV_SUM4(x, w, sum);
}}
int {DOT2}(int x, int w, int sum);
int {DOT2}(int x, int w, int sum) {{
  const char4 bytes = as_char4(x);
  const short2 pairs = as_short2(w);
  return sum + bytes.s0 * pairs.s0 + bytes.s1 * pairs.s1;
}}
#endif
"""


def register() -> None:
    """Have TVM put the functions before every OpenCL kernel that calls one."""
    tvm_ffi.register_global_func("tvm_callback_opencl_postproc", with_products, override=True)


def with_products(source: str, target: Target) -> str:
    """The source of a kernel with the functions that it calls."""
    return _SOURCE + source if DOT4 in source or DOT2 in source else source
