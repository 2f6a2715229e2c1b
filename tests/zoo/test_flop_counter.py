"""How the macs are compared with torch's own counter, on calls that are worked out by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.zoo.check import Result, check
from tests.zoo.entry import Entry
from tests.zoo.flop_counter import count_as_torch_does


class Calls(nn.Module):
    """A model that is one function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, *args: Tensor) -> Any:
        return self.function(*args)


def complex_and_real(x: Tensor) -> Tensor:
    """A complex product of 2 * 3 * 4 = 24 products, each 4 macs, and a real one of 24."""
    return torch.complex(x, x) @ torch.ones(3, 4, dtype=torch.complex64) + x @ torch.ones(3, 4)


def matrix_and_vector(x: Tensor) -> Tensor:
    return x @ torch.ones(3)


@pytest.mark.parametrize(
    ("function", "macs", "unknown", "otherwise"),
    [(complex_and_real, 48, {}, {"aten.mm": 72}), (matrix_and_vector, 0, {"aten.mv": 6}, {})],
)
def test_what_torch_does_not_count_is_told(
    function: Callable[..., Any], macs: int, unknown: dict[str, int], otherwise: dict[str, int]
) -> None:
    found = count_as_torch_does(Calls(function), torch.ones(2, 3))
    assert (found.ran_on, found.macs, found.unknown, found.otherwise) == ("data", macs, unknown, otherwise)


def test_on_data_attention_and_lstms_are_taken_apart() -> None:
    """Attention is 2 * (4 * 4 * 8) macs; an LSTM 5 steps * 4 gates * 3 units * (2 inputs + 3 units)."""
    attention = Calls(nn.functional.scaled_dot_product_attention)
    query = torch.ones(1, 1, 4, 8)
    found = count_as_torch_does(attention, (query, query, query))
    assert (found.macs, found.unknown) == (256, {})
    found = count_as_torch_does(nn.LSTM(2, 3).eval(), torch.ones(5, 1, 2))
    assert (found.macs, found.unknown) == (300, {})
    assert torch.backends.mha.get_fastpath_enabled()
    assert torch.backends.mkldnn.enabled == torch.backends.mkldnn.is_available()


@pytest.mark.parametrize("said", [True, False])
def test_another_rule_is_a_problem_where_no_reason_is_given(said: bool) -> None:
    reasons = {"aten.mm": "a complex product is one"} if said else {}
    entry = Entry(
        "packages",
        "",
        "complex",
        lambda: Calls(complex_and_real),
        lambda _: torch.ones(2, 3),
        needs_data=True,
        otherwise=reasons,
    )
    result: Result = check(entry, backward=False)
    assert result.torch == ("equal but for other rules" if said else "differs")
    assert len(result.problems) == (0 if said else 1)
