"""Convolutions of 8-bit integers on GPUs: products of integers, sums of int32."""
