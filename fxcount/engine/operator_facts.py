"""`OperatorFacts`: what the schema and the tags of an operator say about all its calls, read off once."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fxcount._torch import Operator, schema_of
from fxcount.engine.shape_functions import find_shape
from fxcount.formulas import operator_name
from fxcount.formulas.number_kinds import tensors

_WRITTEN_UNDECLARED = ("running_mean", "running_var")
"""Arguments of norms that are updated although the schema does not say so."""

_FILLED: dict[str, tuple[str, ...]] = {
    "c10d": ("tensors", "output", "output_tensor", "output_tensors"),
    "fsdp": ("all_gather_output",),
}
"""Arguments of collectives, by their namespace, that are written to although the schema does not say so."""

_OF_RANKS = frozenset({*_FILLED, "_c10d_functional", "_c10d_functional_autograd", "_dtensor"})
"""The namespaces of operators whose results are what other ranks send."""

_LEARNS = ("training", "train", "use_input_stats")
"""The argument that says whether they are."""


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """One overload of an operator."""

    name: str
    """Such as ``aten.conv2d``."""
    creates: bool
    """Whether it makes a tensor out of nothing: it names a device and takes no tensor."""
    lifts: bool
    """Whether it makes a tensor of what Python hands to torch, whose values are known."""
    may_return_views: bool
    """Whether all that it returns may be memory of its arguments: it computes no more than a copy of them."""
    is_random: bool
    """Whether what it returns does not follow from what it is given: random numbers, or what other ranks send."""
    needs_values: bool
    """Whether torch says that its result, or the shape of it, may depend on values."""
    written: tuple[tuple[int, str], ...]
    """The positions and names of the arguments that it writes to."""
    outs: frozenset[str]
    """The names of those that are only written to."""
    training: tuple[int, str] | None
    """Where a norm is told whether it learns statistics."""
    returned: tuple[tuple[int, str], ...]
    """The positions and names of the arguments in whose memory a result may lie."""
    shape: Callable[[Sequence[Any], Any], Any] | None
    """Makes the result of a call by shape alone; None where torch does it well on the meta device."""

    def marks(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The tensors that a call writes to, and those of them that it is given as ``out``, which it does not read."""
        learns = self.training is None or bool(_at(self.training, args, kwargs))
        places = [place for place in self.written if learns or place[1] not in _WRITTEN_UNDECLARED]
        outs = [place for place in places if place[1] in self.outs]
        written, unread = (list(tensors(_at(place, args, kwargs) for place in some)) for some in (places, outs))
        return written, unread

    def tensors_written(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
        """The tensors that a call writes to."""
        return list(tensors(_at(place, args, kwargs) for place in self.written))


def _at(place: tuple[int, str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    position, name = place
    return args[position] if position < len(args) else kwargs.get(name)


@functools.cache
def facts_on(operator: Operator) -> OperatorFacts:
    """The facts on an operator."""
    schema, tags = schema_of(operator), operator.tags
    takes_tensor = any("Tensor" in str(argument.type) for argument in schema.arguments)
    names_device = any(argument.name == "device" and argument.kwarg_only for argument in schema.arguments)
    return OperatorFacts(
        name=operator_name(operator),
        creates=names_device and not takes_tensor,
        lifts=operator is torch.ops.aten.lift_fresh.default,
        may_return_views=bool(schema.returns) and all(each.alias_info is not None for each in schema.returns),
        is_random=torch.Tag.nondeterministic_seeded in tags or operator.namespace in _OF_RANKS,
        needs_values=torch.Tag.data_dependent_output in tags or torch.Tag.dynamic_output_shape in tags,
        written=tuple(
            (place, argument.name)
            for place, argument in enumerate(schema.arguments)
            if argument.is_write or argument.name in (*_WRITTEN_UNDECLARED, *_FILLED.get(operator.namespace, ()))
        ),
        outs=frozenset(argument.name for argument in schema.arguments if argument.is_out),
        training=next(
            ((place, each.name) for place, each in enumerate(schema.arguments) if each.name in _LEARNS), None
        ),
        returned=tuple(
            (place, argument.name) for place, argument in enumerate(schema.arguments) if argument.alias_info is not None
        ),
        shape=find_shape(operator),
    )
