"""`fake_mesh`: a mesh of devices of which none is there, for models that are split over it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from math import prod
from typing import TYPE_CHECKING

from fxcount.errors import InputError

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh


@contextlib.contextmanager
def fake_mesh(shape: Sequence[int], names: Sequence[str], device: str = "cpu") -> Iterator[DeviceMesh]:
    """A mesh of that shape, whose axes have these names, with this process as rank 0; nothing is sent. It needs no
    device, and leaves nothing behind.

    Args:
        shape: how many ranks there are along each axis, such as ``(16, 8)``.
        names: what the axes are called, such as ``("dp", "tp")``.
        device: the kind of device that the model is split for; some of what splits models asks for one of that kind.

    Raises:
        InputError: there is a process group already, or the names are not as many as the axes.
    """
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    if dist.is_initialized():
        raise InputError("there is a process group already: make a mesh of it with init_device_mesh")
    if len(shape) != len(names) or not all(size > 0 for size in shape):
        raise InputError(
            f"a mesh has a name for each of its axes, and at least one rank: {tuple(shape)}, {tuple(names)}"
        )
    dist.init_process_group("fake", rank=0, world_size=prod(shape))
    try:
        yield init_device_mesh(device, tuple(shape), mesh_dim_names=tuple(names))
    finally:
        dist.destroy_process_group()
