"""What passes remember of an expression is that expression's, however it is come by."""

from __future__ import annotations

from tvm import relax

from tvm_deconv.relax_functions import Remembered


def test_an_expression_is_computed_once_whichever_wrapper_stands_for_it():
    asked = []
    remembered = Remembered(lambda var: asked.append(var) or len(asked))
    x = relax.Var("x", relax.TensorType((1,), "float32"))
    (again,) = relax.Tuple([x]).fields[:]
    assert [remembered(x), remembered(again), remembered(x)] == [1, 1, 1]


def test_another_expression_at_the_same_address_is_not_taken_for_one_that_is_gone():
    remembered = Remembered(lambda var: str(var.name))
    for n in range(200):
        assert remembered(relax.Var(f"x{n}", relax.TensorType((1,), "float32"))) == f"x{n}"
