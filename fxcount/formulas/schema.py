"""What the schema of an operator says about its cost: whether it is a variant of another, or free."""

import functools

import torch

from fxcount._torch import Operator, schema_of


@functools.cache
def operator_name(operator: Operator) -> str:
    """``aten.conv2d`` for ``torch.ops.aten.conv2d.default``: an operator's overloads share one name."""
    return str(operator.overloadpacket)


def functional_names(operator: Operator) -> list[str]:
    """The names under which the formula of an operator may stand: its own, then that of its functional form.

    A ``_foreach_`` operator does to each of many tensors what the operator for one does.
    """
    name = operator_name(operator).replace("._foreach_", ".")
    in_place = name.endswith("_") and not name.endswith("__") and schema_of(operator).is_mutable
    return [name, name[:-1]] if in_place else [name]


def is_free(operator: Operator) -> bool:
    """Whether the schema alone says that no arithmetic is done, so that the operator needs no row of its own."""
    return _gives_a_view(operator) or _creates(operator) or _packs(operator)


def _gives_a_view(operator: Operator) -> bool:
    """A result is an argument seen in another shape, a copy of that, or the argument itself in another shape."""
    if operator.is_view or torch.Tag.inplace_view in operator.tags:
        return True
    name = operator_name(operator)
    return name.endswith("_copy") and _is_view(name.removesuffix("_copy"))


def _is_view(name: str) -> bool:
    namespace, _, packet_name = name.partition(".")
    packet = getattr(getattr(torch.ops, namespace), packet_name, None)
    return packet is not None and any(getattr(packet, overload).is_view for overload in packet.overloads())


def _creates(operator: Operator) -> bool:
    """An operator of torch that takes no tensor makes its result of numbers. One of somebody else's may compute."""
    inputs = [argument for argument in schema_of(operator).arguments if not argument.is_out]
    return operator.namespace == "aten" and not any("Tensor" in str(argument.type) for argument in inputs)


def _packs(operator: Operator) -> bool:
    """All that it returns is a weight, rearranged for the kernels that take it in this form."""
    returns = schema_of(operator).returns
    return bool(returns) and all(str(result.type).endswith("ParamsBase") for result in returns)
