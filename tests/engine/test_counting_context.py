"""While a counter is at work torch is set so that operators reach it; afterwards it is as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from fxcount.engine.counter import OperatorCounter
from fxcount.engine.counting_context import counting
from fxcount.engine.without_data import WithoutData

X = torch.randn(2, 4)


def test_torch_is_as_before() -> None:
    def state() -> tuple[Any, ...]:
        return (
            torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_rng_state().tolist(),
            torch.backends.mha.get_fastpath_enabled(), torch._C._len_torch_dispatch_stack(),
            torch._C._len_torch_function_stack(), torch.get_default_dtype(), torch.compiler.is_compiling(),
        )  # fmt: skip

    def fails(counter: OperatorCounter) -> None:
        with counting(counter):
            torch.zeros(2) @ torch.zeros(3)

    before = state()
    for counter in (OperatorCounter(), WithoutData()):
        with pytest.raises(RuntimeError):
            fails(counter)
        assert state() == before
