"""A model that catches what a count refuses takes no other way than in a real run."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from fxcount import DataNeededError, FxcountError, count_graph

QUESTIONS: dict[str, Callable[[torch.Tensor, torch.Tensor], bool]] = {
    "a number": lambda x, y: y.sum().item() < 1e9,
    "a truth": lambda x, y: bool((y < 1e9).all()),
    "a list": lambda x, y: y.tolist()[0][0] < 1e9,
    "an array": lambda x, y: y.detach().numpy().shape == (4, 8),
    "how many": lambda x, y: len((y == y).nonzero()) == 32,
    "a type": lambda x, y: isinstance(y, torch.Tensor),
    "a length": lambda x, y: len(y) == 4,
    "an address": lambda x, y: x.data_ptr() != y.data_ptr(),
    "the address of a storage": lambda x, y: x.untyped_storage().data_ptr() != y.untyped_storage().data_ptr(),
}
"""All are true, without an error, in a real run."""


class Asks(nn.Module):
    """Calls a layer of 8 * 8 weights on 4 rows once before the question, and three times after it if it is true."""

    def __init__(self, question: Callable[[torch.Tensor, torch.Tensor], bool], handler: str) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 8, bias=False)
        self.question = question
        self.handler = handler

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x)
        answer = False
        if self.handler == "except Exception":
            try:
                answer = self.question(x, y)
            except Exception:
                y = y.relu()
        elif self.handler == "except":
            try:
                answer = self.question(x, y)
            except:  # noqa: E722
                y = y.relu()
        else:
            try:
                answer = self.question(x, y)
            except Exception as error:
                raise ValueError("no answer") from error
        for _ in range(3 if answer else 0):
            y = self.layer(y)
        return y


@pytest.mark.parametrize("handler", ["except Exception", "except", "raises another"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_what_a_model_asks_and_catches(question: str, handler: str) -> None:
    """4 calls of 4 * 8 * 8 macs."""
    model, x = Asks(QUESTIONS[question], handler), torch.randn(4, 8)
    assert count_graph(model, x).macs == 1024
    for tracer in ("symbolic", "recorded", "executed"):
        try:
            assert count_graph(model, x, tracer=tracer).macs == 1024
        except FxcountError:
            assert tracer != "executed"


@pytest.mark.parametrize("handler", ["except Exception", "except"])
def test_a_gradient_asked_for_on_data_and_caught(handler: str) -> None:
    """The second attempt, above autograd, is no error of the model's."""
    x = torch.randn(4, 8, requires_grad=True)

    def question(x: torch.Tensor, y: torch.Tensor) -> bool:
        return torch.autograd.grad(y.sum(), y)[0].shape == (4, 8)

    assert count_graph(Asks(question, handler), x, tracer="executed").macs == 1024


@pytest.mark.parametrize("question", ["a number", "a truth", "a list", "an array", "how many", "an address"])
def test_without_data_the_error_is_raised_at_the_end(question: str) -> None:
    model = Asks(QUESTIONS[question], "except Exception").to("meta")
    with pytest.raises(DataNeededError, match="needs the values of tensors"):
        count_graph(model, torch.randn(4, 8))


def test_an_error_of_the_models_own_may_be_caught() -> None:
    """Two layers that do not fit, in a real run as well."""
    question = lambda x, y: torch.mm(y, y) is not None  # noqa: E731
    cost = count_graph(Asks(question, "except Exception"), torch.randn(4, 8), tracer="recorded")
    assert cost.macs == 256
    assert cost.tracer == "recorded"


def test_a_script_hides_which_error_it_met() -> None:
    @torch.jit.script
    def positive(x: torch.Tensor) -> bool:
        return bool(x.sum() > -1e9)

    model, x = Asks(lambda x, y: positive(y), "except Exception"), torch.randn(4, 8)
    with pytest.raises(FxcountError):
        count_graph(model, x, tracer="recorded")
    assert count_graph(model, x).macs == 1024
