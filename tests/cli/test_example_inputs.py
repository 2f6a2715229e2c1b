from typing import Any

import pytest
import torch
from torch import nn

from fxcount import InputError
from fxcount.cli.example_inputs import InputShape, call_with


@pytest.mark.parametrize(
    ("text", "name", "shape", "dtype"),
    [
        ("1,3,224,224", "", (1, 3, 224, 224), torch.float32),
        ("1, 128:int64", "", (1, 128), torch.int64),
        ("input_ids=1,128:int64", "input_ids", (1, 128), torch.int64),
        ("7", "", (7,), torch.float32),
        ("7,", "", (7,), torch.float32),
        (":bool", "", (), torch.bool),
        ("x=0,4:bfloat16", "x", (0, 4), torch.bfloat16),
    ],
)
def test_an_input_in_words(text: str, name: str, shape: Any, dtype: torch.dtype) -> None:
    assert InputShape.of(text) == InputShape(name, shape, dtype)


@pytest.mark.parametrize("text", ["1,-x", "-1,3", "1;3", "1,,3", "[1,3]", "=1", "1:float32:cpu", "a b=1", "1 2", "٣"])
def test_what_is_no_shape(text: str) -> None:
    with pytest.raises(InputError, match="an input is a shape such as"):
        InputShape.of(text)


@pytest.mark.parametrize("dtype", ["float33", "Tensor", "nn"])
def test_what_is_no_dtype(dtype: str) -> None:
    with pytest.raises(InputError, match=f"'{dtype}' is not a dtype of torch"):
        InputShape.of(f"1:{dtype}")


def test_a_call() -> None:
    inputs = [InputShape.of(text) for text in ("2,4", "mask=2:bool", "3:int64", "scale=:float64")]
    call = call_with(inputs, nn.Linear(4, 3, device="meta"))
    assert [tuple(tensor.shape) for tensor in call.args] == [(2, 4), (3,)]
    assert {name: tuple(tensor.shape) for name, tensor in call.kwargs.items()} == {"mask": (2,), "scale": ()}
    assert [tensor.is_meta for tensor in call.tensors()] == [True, False, False, True]
    assert call.args[1].tolist() == [1, 1, 1]
    assert call.kwargs["mask"].tolist() == [True, True]


def test_inputs_have_data_where_the_model_has() -> None:
    inputs = [InputShape.of("2,4")]
    assert call_with(inputs, nn.Linear(4, 3)).args[0].device.type == "cpu"
    assert call_with(inputs, nn.ReLU()).args[0].is_meta


def test_a_name_twice() -> None:
    with pytest.raises(InputError, match="two inputs are called x"):
        call_with([InputShape.of("x=1"), InputShape.of("x=2")], nn.ReLU())
