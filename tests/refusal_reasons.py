"""Why a layer is refused: what each bad layer of the tests must be told. No TVM here.

Each front has a function of the same name that builds the layer. The words are those of Relax.
"""

from __future__ import annotations

SUBPIXEL = {
    "permuted_columns": "input is not a convolution: relax.permute_dims (lv1)",
    "packed_weights": "relax.nn.conv2d (lv) has layouts NCHW and OIHW4o",
    "strided": "stride of relax.nn.conv2d (lv) is [2, 2], not 1",
    "padded_too_far": "begin padding 3 is larger than the reach 2 of the kernel",
    "mixed_groups": "groups=4 does not divide the 2 channels after the shuffle",
    "mixed_groups_dcr": "groups=2: the channel order takes the phases of one output channel",
    "no_convolution": "input is not a convolution: parameter x",
    "pooled": "input is not a convolution: relax.nn.max_pool2d (lv1)",
    "residual": "pointwise operators join parameter x and relax.nn.conv2d (lv)",
    "varying_constant": "operand of relax.add (lv1) has shape (1, 8, 6, 5): it varies over pixels",
    "broadcasting_constant": "relax.add (lv1) broadcasts [1, 1, 6, 5] to [1, 8, 6, 5]",
    "prelu_over_rows": "relax.nn.prelu (lv1) has axis 2, not the channels",
    "training_batch_norm": "relax.nn.batch_norm (lv2) has training=True",
    "batch_norm_over_rows": "relax.nn.batch_norm (lv2) has axis 2, which is not the channels",
    "convolution_read_twice": "relax.nn.conv2d (lv) is also read by",
    "activation_read_twice": "relax.nn.relu (lv1) is also read by relax.sum (lv2)",
    "overflowing_scale": "weights of relax.nn.conv2d (lv) are not finite in float32",
    "wider_output": "data float32, weights float32 and output float64",
}

RESIZE = {
    "resize_in_another_layout": "relax.image.resize2d (lv) has layout NHWC, its reader NCHW",
    "resize_to_another_type": "changes the dtype from float32 to float16",
    "asymmetric_ceil": "asymmetric with ceil rounding is not nearest x2: output 1 reads input 1",
    "unknown_rounding": "half_pixel with stochastic rounding is not nearest x2",
    "resize_of_a_crop": "tf_crop_and_resize with round rounding is not nearest x2",
    "resize_from_outside": "tf_crop_and_resize with round rounding is not nearest x2",
    "cubic": "relax.image.resize2d (lv): method is cubic, not nearest_neighbor",
    "fractional": "axis H: factor 15/6 = 2.5 is not whole",
    "shrinking": "axis H: factor 3/6 = 0.5 is not whole",
    "asymmetric_round": "asymmetric with round rounding is not nearest x2: output 1 reads a tie",
    "a_billion_rows": "axis H: factor 1000000000 is over 64",
    "many_aligned_corners": "align_corners with round rounding is not judged for 120000 outputs",
    "half_pixel_floor": "half_pixel with floor rounding is not nearest x2: output 2 reads input 0",
    "aligned_corners_by_three": "align_corners with round rounding is not nearest x3",
    "resize_then_stride": "stride of relax.nn.conv2d (gv) is [1, 2], not 1",
    "resize_alone": "relax.image.resize2d (lv) is read by the function's output, not by a",
    "resize_then_concat": "relax.image.resize2d (lv) is read by relax.concat (lv1), not by a",
    "resize_then_add": "relax.image.resize2d (lv) is read by relax.add",
    "padded_with_ones": "relax.nn.pad (lv1): pad_value is 1, not 0",
    "wide_reflection": "padding at the begin of axis H reads input samples [1, 0]",
    "circular": "circular padding [0, 0, 0, 0, 1, 1, 1, 1] reaches across the tensor",
    "crop_of_a_whole_sample": "crops (0, 2, 0, 1) samples (top, bottom, left, right), all copies",
    "zeros_beyond_the_kernel": "axis H: begin padding 3 is larger than the reach 2 of the kernel",
    "padded_channels": "relax.nn.pad (lv1) pads batch or channels",
    "sigmoid_after_zeros": "relax.sigmoid follows the zero padding relax.nn.pad (lv1)",
    "reversed_samples": "takes samples in no upsampling order",
}

LINEAR = {
    "linear_with_aligned_corners": "a linear resize with align_corners, of which only half_pixel",
    "linear_asymmetric": "a linear resize with asymmetric, of which only half_pixel is folded",
    "not_linear_but_cubic": "method is cubic, not nearest_neighbor",
    "linear_fractional": "a linear resize, of which the factor 15/6 = 2.5 is not whole",
    "linear_shrinking": "a linear resize, of which the factor 3/6 = 0.5 is not whole",
    "linear_to_another_type": "a linear resize from float32 to float16",
    "linear_of_channels": "lv enlarges (1, 2, 2, 1), not height and width only",
    "linear_then_stride": "stride of relax.nn.conv2d (gv) is [2, 2], not 1",
    "linear_then_relu": "relax.nn.relu stands between the linear resize and the convolution: only "
    "a scale and a shift per channel commute with it",
    "linear_shifted_after_zeros": "relax.add follows the zero padding relax.nn.pad (lv1) and does",
    "linear_reflected": "padding at the begin of axis H reads input samples [1], which is no edge",
    "linear_padded_with_ones": "pad_value is 1, not 0",
    "linear_zeros_beyond_the_kernel": "axis H: begin padding 3 is larger than the reach 2 of the",
    "linear_read_twice": "the map of lv is also read by relax.sum (lv1), so it would stay",
    "linear_alone": "the linear resize lv is read by the function's output, not by a convolution",
    "linear_and_a_kernel_of_two": "folded it would take 6.25 products for each output and channel, "
    "the convolution of the enlarged map takes 4: it does not pay",
    "linear_and_weights_that_outgrow_the_map": "folded it would read 6912 weights more, to save an "
    "enlarged map of 480 elements: it does not pay",
}

CONCAT = {
    "groups_across_two_inputs": "groups=2: the Concat's inputs meet at channel 4, inside a group",
    "many_outputs": "does not pay: it spares 2560 products an output pixel and moves 502 values",
    "concat_then_stride": "stride of relax.nn.conv2d (gv) is [2, 2], not 1",
    "cropped_concat": "relax.image.resize2d (lv3) is read by relax.concat (lv4), not by a",
    "concat_along_rows": "relax.image.resize2d (lv3) is read by relax.concat (lv4), not by a",
    "concat_then_sigmoid_after_zeros": "relax.sigmoid follows the zero padding relax.nn.pad (lv5)",
}
