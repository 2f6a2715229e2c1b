"""`OperatorCounter`: runs torch operators on shapes alone, and notes what each of them costs.

Under ``torch.inference_mode`` nothing stands between a call and a `TorchDispatchMode`: autograd would have split
composite operators (attention, linear, LSTM) into the parts that one device happens to use. So the mode sees each
operator as it was called. One that has a formula is costed as a whole; one that has none is taken apart, and its parts
are costed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fxcount.cost import Cost, OperatorCost
from fxcount.formulas import REFUSED, find_formula, operator_name


class OperatorCounter(TorchDispatchMode):
    """A mode under which every operator runs without data; ``calls`` lists what each one costs.

    A tensor with data is represented by a stand-in on the meta device: shape, strides and dtype, no storage.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[OperatorCost] = []
        self._stand_ins: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def __torch_dispatch__(
        self, func: torch._ops.OpOverload, types: Sequence[type], args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        args, kwargs = self.without_data(args), self.without_data(kwargs or {})
        formula = find_formula(func)
        if formula is None:
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        if formula is None:
            name = operator_name(func)
            self.calls.append(OperatorCost(name, Cost(), uncounted=REFUSED.get(name, "no formula is known")))
        else:
            self.calls.append(formula(args, kwargs, out))
        return out

    def without_data(self, value: Any) -> Any:
        """``value`` with a stand-in for each tensor that has data, also inside lists, tuples and mappings."""
        if isinstance(value, torch.Tensor):
            return value if value.is_meta else self._stand_in(value)
        if type(value) in (list, tuple):
            return type(value)(self.without_data(item) for item in value)
        if isinstance(value, Mapping):
            return {key: self.without_data(item) for key, item in value.items()}
        return value

    def _stand_in(self, tensor: torch.Tensor) -> torch.Tensor:
        """The stand-in of ``tensor``, the same one each time; the tensor is kept so that its id stays its own."""
        if id(tensor) not in self._stand_ins:
            # Not an inference tensor: a view of the original must accept a view of the stand-in as its result.
            with torch.inference_mode(False):
                meta = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
            self._stand_ins[id(tensor)] = (tensor, meta)
        return self._stand_ins[id(tensor)][1]


@contextlib.contextmanager
def counting() -> Iterator[OperatorCounter]:
    """An `OperatorCounter` at work: inference mode, and no fused path that only some devices have."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.inference_mode(), OperatorCounter() as counter:
            yield counter
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
