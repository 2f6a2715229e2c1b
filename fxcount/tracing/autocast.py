"""Autocast without data: it chooses a dtype by the device of a tensor, and a stand-in is on none that it knows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch.utils.weak import TensorWeakRef

from fxcount._torch import (
    DispatchMode,
    Operator,
    any_autocast,
    disabled_torch_function,
    make_wrapper_subclass,
    no_dispatch_modes,
    pytree,
)
from fxcount.engine.operator_facts import facts_on
from fxcount.engine.sharding import is_split, part_of, split_like
from fxcount.fault_origin import for_the_model


def autocast_chooses(device_type: str) -> bool:
    """Whether autocast is at work on tensors of a type of device, such as ``cpu``."""
    return any_autocast() and device_type != "meta" and torch.is_autocast_enabled(device_type)


@dataclass(frozen=True)
class Autocast:
    """What autocast was told to do when a node was made; a graph has no other place for it."""

    device: torch.device
    dtype: torch.dtype
    enabled: bool

    @classmethod
    def now(cls, device: torch.device) -> Self:
        return cls(device, torch.get_autocast_dtype(device.type), autocast_chooses(device.type))

    def again(self) -> torch.autocast:
        """While it lasts, autocast is told the same."""
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=self.enabled)

    def call(self, func: Callable[..., Any], *args: Any) -> Any:
        """The result of ``func`` on stand-ins, as then."""
        with self.again():
            return call_as_on(self.device, func, args, {})


def call_as_on(device: torch.device, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The result of ``func`` on stand-ins that torch takes for tensors of ``device``; it is made of stand-ins again."""
    with AsOn(device) as shown:
        return shown.hide(for_the_model(func, *shown.show(args), **shown.show(kwargs)))


class ShownStandIn(torch.Tensor):
    """A stand-in with another device written on it. Only an `AsOn` handles it."""

    stand_in: torch.Tensor

    __torch_function__ = disabled_torch_function  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, stand_in: torch.Tensor, device: torch.device) -> Self:
        size, stride = stand_in.shape, stand_in.stride()
        shown: Self = make_wrapper_subclass(
            cls, size, stride, stand_in.storage_offset(), dtype=stand_in.dtype, device=device
        )
        shown.stand_in = stand_in
        return shown

    def untyped_storage(self) -> torch.UntypedStorage:
        """That of the stand-in: who frees the memory of a tensor and takes it again asks for it."""
        return self.stand_in.untyped_storage()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]  # a class method, as it is called
        return NotImplemented


_OWN = {torch.Tensor, torch.nn.Parameter, ShownStandIn}
"""The classes of tensors that make no calls of their own."""


class AsOn(DispatchMode):
    """While it lasts, every operator is handed stand-ins as they are, and returns them as tensors of ``device``.

    Between a call and its operators is autocast: it sees the device and casts, by a call of its own.
    """

    supports_higher_order_operators = True

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self._device = device
        self._shown: dict[int, TensorWeakRef] = {}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if not {*types} <= _OWN:  # it makes calls of its own on what it holds
            return NotImplemented
        kwargs = kwargs or {}
        out = self.show(for_the_model(func, *self.hide(args), **self.hide(kwargs)))
        if isinstance(func, Operator):
            for written in facts_on(func).tensors_written(args, kwargs):
                self._show_form(written)
        return out

    def show(self, value: Any) -> Any:
        """``value`` with each stand-in shown on the device, the same one as long as anybody has it."""
        return for_the_model(pytree.tree_map, self._show_tensor, value)

    def hide(self, value: Any) -> Any:
        """The opposite of ``show``."""
        return for_the_model(pytree.tree_map, lambda leaf: leaf.stand_in if type(leaf) is ShownStandIn else leaf, value)

    def _show_tensor(self, leaf: Any) -> Any:
        if not isinstance(leaf, torch.Tensor) or not leaf.is_meta:
            return leaf
        if is_split(leaf):
            return split_like(leaf, self._show_tensor(part_of(leaf)))
        known = self._shown.get(id(leaf))  # one that is alive keeps its stand-in, and so the identity of that
        shown = None if known is None else known()
        if shown is None:
            shown = ShownStandIn(leaf, self._device)
            self._shown[id(leaf)] = TensorWeakRef(shown)
        return shown

    def _show_form(self, written: torch.Tensor) -> None:
        """What is written to may have got another shape."""
        if isinstance(written, ShownStandIn):
            stand_in = written.stand_in
            if (written.shape, written.stride()) != (stand_in.shape, stand_in.stride()):
                with no_dispatch_modes():
                    written.data = ShownStandIn(stand_in, self._device)
