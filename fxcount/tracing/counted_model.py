"""`CountedModel`: the model as something that can be called, and what belongs to it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Self

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from fxcount._torch import buffers_of, parameters_of
from fxcount.engine.sharding import is_split, refuse_gathered, refuse_uneven, refuse_wrapped
from fxcount.errors import InputError, TracingError
from fxcount.tracing.data_parallel import DataParallel
from fxcount.tracing.example_call import ExampleCall


@dataclass(frozen=True, eq=False)
class CountedModel:
    """What is counted, and the modules and tensors that belong to it, looked up once for all who need them."""

    run: Callable[..., Any]
    """The module or function that is called."""
    modules: dict[str, nn.Module] = field(default_factory=dict)
    """By path, each once, under the first of its paths: one that lies inside itself would never end."""
    parameters: dict[str, nn.Parameter] = field(default_factory=dict)
    """By name; a shared one under each of its names."""
    buffers: dict[str, torch.Tensor] = field(default_factory=dict)
    """By name, as the parameters."""
    wrappers: list[DataParallel] = field(default_factory=list)
    """What each `DistributedDataParallel` sends, around the model or in it."""

    @classmethod
    def of(cls, model: Any) -> Self:
        """``model`` itself, or the module of an exported program or inside a distributed one.

        Raises:
            InputError: the model cannot be called, has lazy modules that are not initialised, or parameters that it has
                gathered from several ranks.
            TracingError: it is in parts on several ranks.
        """
        if isinstance(model, torch.export.ExportedProgram):
            model = model.module()
        wrappers = []
        if isinstance(model, nn.parallel.DistributedDataParallel):
            wrappers, model = [DataParallel.of("", model)], model.module
        if not callable(model):
            kind = type(model)
            other = ": count_pipeline counts it" if kind.__module__.startswith("torch.distributed.pipelining") else ""
            raise InputError(f"the model must be callable, not {kind.__name__}{other}")
        counted = cls(model, wrappers=wrappers)
        if isinstance(model, nn.Module):
            counted.modules.update(model.named_modules())
        for path, module in counted.modules.items():
            if isinstance(module, nn.parallel.DistributedDataParallel):
                wrappers.append(DataParallel.of(path, module))
            prefix = f"{path}." if path else ""
            for name, parameter in parameters_of(module).items():
                if parameter is not None:
                    counted.parameters[prefix + name] = parameter
            for name, buffer in buffers_of(module).items():
                if buffer is not None:
                    counted.buffers[prefix + name] = buffer
        refuse_wrapped(counted.modules)
        refuse_gathered(counted.modules)
        refuse_uneven(counted.named_tensors())
        lazy = next((name for name, tensor in counted.named_tensors() if is_lazy(tensor)), None)
        if lazy is not None:
            raise InputError(f"{lazy} is not initialised yet: run the model once, so that lazy modules know sizes")
        return counted

    def module_at(self, path: str) -> nn.Module | None:
        """The module at any of its paths; None where there is none."""
        try:
            return self.modules[path] if path in self.modules else self.modules[""].get_submodule(path)
        except (KeyError, AttributeError):
            return None

    def named_tensors(self) -> chain[tuple[str, torch.Tensor]]:
        """The parameters and the buffers."""
        return chain(self.parameters.items(), self.buffers.items())

    def refuse_foreign(self, wrappers: Iterable[nn.Module]) -> None:
        """
        Raises:
            TracingError: one of these wrappers, which have run, is no module of the model.
        """
        known = {*self.modules.values()}
        for each in wrappers:
            if each not in known:
                name = type(each).__name__
                raise TracingError(f"a {name} runs that is no module of the model, and what it sends is not counted")

    @property
    def owned(self) -> tuple[torch.Tensor, ...]:
        """The parameters and the buffers, without their names."""
        return (*self.parameters.values(), *self.buffers.values())

    @property
    def forward(self) -> Callable[..., Any]:
        """The function that names the arguments of a call."""
        return self.run.forward if isinstance(self.run, nn.Module) else self.run

    @property
    def training(self) -> bool:
        """Whether the model is in training mode; a function is taken to be."""
        return getattr(self.run, "training", True)

    def device(self, call: ExampleCall) -> torch.device:
        """Where the model runs: the device of its first parameter, else of the first input."""
        return next((tensor.device for tensor in (*self.parameters.values(), *call.tensors())), torch.device("cpu"))

    def is_split(self, call: ExampleCall, backward: bool) -> bool:
        """Whether this rank has a part of a parameter, a buffer or an input, and others the rest; in a backward pass
        also where it is alone, for autograd gathers and scatters there too."""
        held = filter(is_split, (*self.owned, *call.tensors()))
        return any(backward or each.device_mesh.size() > 1 for each in held)  # type: ignore[attr-defined]

    def has_data(self, call: ExampleCall) -> bool:
        """Whether the model can run: neither its state nor its input is on the meta device."""
        return not any(tensor.is_meta for _, tensor in (*self.named_tensors(), *enumerate(call.tensors())))
