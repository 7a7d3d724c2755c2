"""What may be said about a compilation is the same wherever it may be said."""

from __future__ import annotations

import inspect
from dataclasses import fields

import numpy as np
import pytest
from small_networks import sub_pixel

import tvm_deconv
from tvm_deconv.errors import OptionError, PixelsError, TvmDeconvError, VariantError
from tvm_deconv.library import compile_library
from tvm_deconv.options import Options
from tvm_deconv.schedules.choice import Preferences
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
    assert Preferences().allow_integers and not Preferences("tdc").allow_integers


def test_a_bad_option_is_told_when_it_is_asked_for():
    with pytest.raises(VariantError, match="max_weight_growth is 0"):
        Options(log=None, max_weight_growth=0).chooser(resolve_target("host"))
    with pytest.raises(VariantError, match="unknown variant 'fats'"):
        Options(variant="fats", log=None).chooser(resolve_target("host"))


FREE = {"shape": ("n", 1, "h", "w")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"winograd": "no"}, "winograd is 'no': give True or False"),
        ({"winograd": 0}, "winograd is 0: give True or False"),
        ({"log": 3}, "log is 3: give the path of a folder of logs, or None for none"),
        ({"log": []}, r"log is \[\]: give the path"),
        ({"threads": True}, "threads must be a positive integer, got True"),
        ({"shapes": {"x": (True, 1, 5, 5)}}, "must hold positive integers"),
        ({"shapes": {"x": (1, 1, 5, 1 << 64)}}, "is too large to compute"),
    ],
)
@pytest.mark.parametrize("function", [tvm_deconv.compile, tvm_deconv.explain])
def test_an_option_of_another_type_is_one_error(function, options, message):
    with pytest.raises(TvmDeconvError, match=message):
        function(sub_pixel(**FREE), **options)


def test_a_flag_of_another_type_is_one_error_wherever_it_is_given(tmp_path):
    with pytest.raises(OptionError, match="rewrite is 'no': give True or False"):
        tvm_deconv.compile(sub_pixel(), rewrite="no")
    with pytest.raises(OptionError, match="rewrite is None: give True or False"):
        tvm_deconv.pipeline(rewrite=None)
    with pytest.raises(OptionError, match="locate is 1: give True or False"):
        tvm_deconv.check(sub_pixel(), locate=1)
    with pytest.raises(OptionError, match="progress is 'yes': give True or False"):
        tvm_deconv.run("network.so", "photo.png", tmp_path / "large.png", progress="yes")
    with pytest.raises(OptionError, match="all_ops is 'no': give True or False"):
        tvm_deconv.tune(sub_pixel(), all_ops="no")
    with pytest.raises(OptionError, match="bgr is 'yes': give True or False"):
        tvm_deconv.Pixels(bgr="yes")


def test_a_number_that_is_none_is_one_error_wherever_it_is_given():
    for options in ({"seed": "a"}, {"trials": 0}, {"trials": 2.0}):
        with pytest.raises(OptionError, match="give an integer of at least"):
            tvm_deconv.tune(sub_pixel(), **options)
    for options in ({"seed": -1}, {"draws": 1.5}):
        with pytest.raises(OptionError, match="give an integer of at least"):
            tvm_deconv.check(sub_pixel(), **options)


def test_pixels_are_no_text():
    with pytest.raises(PixelsError, match=r"pixels is '0..1': give tvm_deconv.Pixels"):
        tvm_deconv.compile(sub_pixel(), pixels="0..1")


def test_numbers_and_flags_of_numpy_are_as_good_as_others():
    options = {"winograd": np.bool_(False), "threads": np.int32(3)}
    shapes = {"x": np.array([1, 1, 5, 5])}
    plain = {"shapes": {"x": (1, 1, 5, 5)}, "winograd": False, "threads": 3}
    wanted = tvm_deconv.explain(sub_pixel(**FREE), **plain)
    assert str(tvm_deconv.explain(sub_pixel(**FREE), shapes=shapes, **options)) == str(wanted)
    assert tvm_deconv.Pixels(mean=np.array([1, 2, 3])).mean == (1.0, 2.0, 3.0)
