"""The tests of tests/relay, run where they can: TVM 0.16 and 0.27 share no environment."""

from __future__ import annotations

import os
import subprocess

import pytest
import relay_environment
from paths import ROOT


@pytest.mark.relay
def test_the_tests_of_relay_pass_in_their_own_environment(relay_python):
    # What keeps PyTorch out of other processes would be in the way of TVM's importer.
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [relay_python, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "tests/relay"],
        cwd=ROOT,
        env={**known, "TVM_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, "\n".join(done.stdout.splitlines()[-60:]) + done.stderr


@pytest.mark.parametrize(
    ("system", "machine", "python", "why"),
    [
        ("Darwin", "arm64", (3, 11), "is for Linux on x86-64, this is Darwin on arm64"),
        ("Linux", "aarch64", (3, 11), "is for Linux on x86-64, this is Linux on aarch64"),
        ("Linux", "x86_64", (3, 9), "runs on Python 3.10 to 3.12, this is 3.9: make relay PYTHON="),
        ("Linux", "x86_64", (3, 13), "runs on Python 3.10 to 3.12, this is 3.13"),
    ],
)
def test_where_there_can_be_no_such_environment_one_line_says_why(system, machine, python, why):
    told = relay_environment.refusal(system, machine, python)
    assert told is not None
    assert why in told
    assert "\n" not in told


@pytest.mark.parametrize("python", [(3, 10), (3, 11), (3, 12)])
def test_pythons_that_numpy_1_runs_on_are_taken(python):
    assert relay_environment.refusal("Linux", "x86_64", python) is None


def test_in_this_environment_the_relay_road_is_one_clear_error():
    from tvm_deconv.errors import RelayError

    with pytest.raises(
        RelayError, match=r"TVM 0\.27\S* has no Relay: .*RewriteUpsampling on Relax"
    ):
        import tvm_deconv.relay  # noqa: F401
