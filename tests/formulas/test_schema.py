"""What a schema says about the cost of an operator, and what it does not say."""

from typing import Any

import pytest
import torch

from fxcount.formulas import find_formula, operator_name
from fxcount.formulas.schema import functional_names, is_free

aten, quantized = torch.ops.aten, torch.ops.quantized


def test_overloads_share_a_name() -> None:
    assert operator_name(aten.conv2d.default) == operator_name(aten.conv2d.padding) == "aten.conv2d"


@pytest.mark.parametrize(
    ("operator", "names"),
    [
        (aten.add.Tensor, ["aten.add"]),
        (aten.add_.Tensor, ["aten.add_", "aten.add"]),
        (aten._foreach_add_.List, ["aten.add_", "aten.add"]),
        (aten.__and__.Scalar, ["aten.__and__"]),
    ],
)
def test_functional_names(operator: torch._ops.OpOverload, names: list[str]) -> None:
    assert functional_names(operator) == names


@pytest.mark.parametrize(
    "operator",
    [
        aten.transpose.int,
        aten.transpose_.default,
        aten.transpose_copy.int,
        aten.reshape.default,
        aten.zeros.default,
        aten.zeros.out,
        aten.randn.default,
        quantized.linear_prepack.default,
        quantized.conv2d_prepack.default,
    ],
)
def test_free(operator: torch._ops.OpOverload) -> None:
    assert is_free(operator)
    formula = find_formula(operator)
    assert formula is not None
    assert formula.formula.equation_text == ""


@pytest.mark.parametrize(
    "operator",
    [
        aten.add.Tensor,
        aten.exp_.default,
        aten.rrelu.default,  # draws random numbers, and multiplies with them
        aten._backward.default,  # returns nothing, and computes all gradients
        aten.allclose.default,  # returns a truth value
        aten._choose_qparams_per_tensor.default,  # returns two numbers
        quantized.embedding_bag_byte_prepack.default,  # finds the range of every row
    ],
)
def test_what_may_compute_is_not_free(operator: torch._ops.OpOverload) -> None:
    assert not is_free(operator)


def test_a_formula_comes_before_what_the_schema_says() -> None:
    assert is_free(aten.coalesce.default)  # it returns an argument that is coalesced already
    formula = find_formula(aten.coalesce.default)
    assert formula is not None
    assert formula.formula.equation_text == "add = merged"


def test_what_an_operator_of_ones_own_makes_of_numbers_may_be_computed() -> None:
    @torch.library.custom_op("fxcount_tests::table", mutates_args=())
    def table(n: int) -> torch.Tensor:
        return torch.arange(n).cos()

    operator: Any = torch.ops.fxcount_tests.table.default
    assert not is_free(operator)
    assert find_formula(operator) is None
