"""Convolutions of 8-bit integers on processors: products of integers, sums of int32."""
