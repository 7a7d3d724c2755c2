"""Tests of the Relay road: they run in the environment of `make relay`, where there is no Relax.

The suite of the main environment leaves this folder out and starts it as one test,
tests/test_relay.py.
"""

from __future__ import annotations

import functools
import os

import pytest
import tvm.support
from hypothesis import settings
from sleeping_session import sleeping_sessions

# TVM asks what it was built with for every dimension of every tensor that it lowers, and makes a
# dictionary of it each time: an eighth of what a build takes. It has to be cached before Relay is
# imported.
tvm.support.libinfo = functools.cache(tvm.support.libinfo)

# Before TVM's own Relay, or XGBoost cannot learn: tvm_deconv/relay/cost_model.py.
import tvm_deconv.relay  # noqa: E402, F401

# The importer makes a table of all operators for each node, which takes a tenth of the time.
onnx = tvm.relay.frontend.onnx
onnx._get_convert_map = functools.cache(onnx._get_convert_map)

# Neither the logs of whoever runs the tests nor those that we ship decide about a variant. A test
# of logs sets it to a folder.
os.environ["TVM_DECONV_LOGS"] = "none"

# As in tests/conftest.py, which only the main environment can read.
settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")


@pytest.fixture(scope="session", autouse=True)
def onnx_runtime_waits_asleep():
    with sleeping_sessions():
        yield
