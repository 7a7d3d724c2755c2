"""What may be said about a compilation is the same wherever it may be said."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

import tvm_deconv
from tvm_deconv.errors import VariantError
from tvm_deconv.library import compile_library
from tvm_deconv.options import Options
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform.choosing import chooser_of

DEFAULTS = {field.name: field.default for field in fields(Options)}
# A library is of the rewritten network, of which ``explain`` speaks; passes ask the chooser.
WITHOUT_REWRITE = (tvm_deconv.explain, compile_library, chooser_of)


@pytest.mark.parametrize(
    "function",
    [tvm_deconv.compile, tvm_deconv.check, tvm_deconv.pipeline, *WITHOUT_REWRITE],
    ids=lambda function: function.__name__,
)
def test_a_function_takes_every_option_with_the_same_default(function):
    parameters = inspect.signature(function).parameters
    wanted = set(DEFAULTS) - ({"rewrite"} if function in WITHOUT_REWRITE else set())
    assert {name: parameters[name].default for name in wanted} == {
        name: DEFAULTS[name] for name in wanted
    }
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in wanted)


def test_a_log_is_looked_for_once():
    host = resolve_target("host")
    found, _ = Options().with_log_of(host)
    again, words = found.with_log_of(host)
    assert again == found and not words


def test_what_is_asked_for_by_name_is_not_computed_in_integers():
    assert Options().allow_integers and not Options(variant="tdc").allow_integers


def test_a_bad_option_is_told_when_it_is_asked_for():
    with pytest.raises(VariantError, match="max_weight_growth is 0"):
        Options(log=None, max_weight_growth=0).chooser(resolve_target("host"))
    with pytest.raises(VariantError, match="unknown variant 'fats'"):
        Options(variant="fats", log=None).chooser(resolve_target("host"))
