"""What passes are told: for a target its options, for a chooser none, since it has its own."""

from __future__ import annotations

import pytest

from tvm_deconv.transform import LowerConvolutions, LowerIntegers, RewriteUpsampling
from tvm_deconv.transform.choosing import chooser_of

PASSES = (LowerConvolutions, LowerIntegers, RewriteUpsampling)


@pytest.fixture(scope="module")
def chooser():
    return chooser_of("host", log=None, winograd=False)


@pytest.mark.parametrize("make", PASSES)
def test_passes_share_a_chooser_or_make_one(make, chooser):
    assert make(chooser).chooser is chooser
    assert not make("host", log=None, winograd=False).chooser.preferences.winograd


@pytest.mark.parametrize("make", PASSES)
def test_an_option_beside_a_chooser_is_refused(make, chooser):
    with pytest.raises(
        TypeError, match=r"^winograd=True would be ignored: the chooser has its own"
    ):
        make(chooser, winograd=True)


@pytest.mark.parametrize("make", PASSES)
def test_an_option_that_there_is_not_is_refused(make):
    with pytest.raises(TypeError, match="unexpected keyword argument 'anything'"):
        make("host", anything=1)


def test_an_option_of_a_rewrite_that_asks_no_machine_is_refused():
    with pytest.raises(TypeError, match=r"^anything=1 would be ignored: without a target"):
        RewriteUpsampling(None, anything=1)
    with pytest.raises(TypeError, match=r"^winograd=False, log=None would be ignored: without"):
        RewriteUpsampling(winograd=False, log=None)


@pytest.mark.parametrize("options", [{"variant": "tdc"}, {"max_weight_growth": 3}])
def test_an_option_of_floats_is_none_of_integers(options):
    with pytest.raises(TypeError, match="would be ignored: it is of floats, say it to LowerConv"):
        LowerIntegers("host", **options)
