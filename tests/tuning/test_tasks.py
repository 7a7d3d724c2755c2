"""Which layers a tuner measures."""

from __future__ import annotations

import torch
from torch import nn

from tvm_deconv.targets import resolve_target
from tvm_deconv.tuning.tasks import tasks_of

HOST = resolve_target("host")


def program(*layers):
    return torch.export.export(nn.Sequential(*layers).eval(), (torch.randn(1, 4, 4, 8, 8),))


def test_layers_of_volumes_are_tuned_for_each_phase_of_their_depth():
    both = program(nn.Conv3d(4, 4, 3, padding=1), nn.ConvTranspose3d(4, 4, 2, 2))
    plain, task = tasks_of(both, None, HOST)
    assert plain.layer.conv.slices is not None
    assert task.layer.conv.slices is None
    assert (task.layer.conv.strides, task.count) == ((2, 2), 2)
