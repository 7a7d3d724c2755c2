"""Which layers a tuner measures."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tvm_deconv.errors import TuningError
from tvm_deconv.targets import resolve_target
from tvm_deconv.tuning.tasks import tasks_of

HOST = resolve_target("host")


def program(*layers):
    return torch.export.export(nn.Sequential(*layers).eval(), (torch.randn(1, 4, 4, 8, 8),))


def test_layers_of_volumes_are_tuned_where_their_kernels_are_those_of_pictures():
    both = program(nn.Conv3d(4, 4, 3, padding=1), nn.ConvTranspose3d(4, 4, 2, 2))
    (task,) = tasks_of(both, None, HOST)
    assert (task.layer.conv.strides, task.count) == ((2, 2), 2)
    with pytest.raises(TuningError, match="over volumes"):
        tasks_of(program(nn.Conv3d(4, 4, 3, padding=1)), None, HOST)
