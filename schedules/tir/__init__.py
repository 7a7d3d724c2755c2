"""Edits of TensorIR that schedules share."""
