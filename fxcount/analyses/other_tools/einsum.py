"""Sums of products by equation, ``torch.einsum``, as tools count them: whole, with the help of NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from fxcount.analyses.other_tools.calls import Call, Calls
from fxcount.errors import InputError
from fxcount.result.node_cost import Shape

EXACT = ("abc,abd->acd", "abc,adc->adb")
"""The equations for which fvcore does not ask NumPy."""


@dataclass(frozen=True)
class Einsum:
    """One call of ``torch.einsum``."""

    equation: str
    """In lower-case letters in the order of their first use, and without spaces."""
    shapes: tuple[Shape, ...]

    @property
    def products(self) -> int:
        """The product of all sizes."""
        operands = self.equation.partition("->")[0].split(",")
        pairs = zip(operands, self.shapes, strict=True)
        return prod(
            {letter: size for names, shape in pairs for letter, size in zip(names, shape, strict=True)}.values()
        )

    @property
    def rounded_flops(self) -> int:
        """The operations that ``numpy.einsum_path`` prints, of NumPy 2: a product, and an addition where something is
        summed, for each combination of indices, and one more, to four digits."""
        operands, _, result = self.equation.partition("->")
        each = max(1, len(self.shapes) - 1) + (set(operands) - {","} > set(result))
        return int(float(f"{each * self.products + 1:.3e}"))


@dataclass
class Einsums:
    """Those of a count."""

    whole: dict[int, Einsum] = field(default_factory=dict)
    """By the place of the first operator that the call reaches."""
    parts: set[int] = field(default_factory=set)
    """The places of all operators that they reach."""


def einsums(calls: Calls) -> Einsums:
    """Every call of ``torch.einsum`` of one or two tensors.

    Raises:
        InputError: one is of more tensors, or leaves out letters.
    """
    found = Einsums()
    for call in calls.others():
        if call.node.op == "call_function" and call.node.target == "einsum":
            costliest = max(call.reached, key=lambda each: (each.operator.cost.macs, each.operator.cost.mul))
            found.whole[costliest.place] = _einsum(calls, call)
            found.parts |= {each.place for each in call.reached}
    return found


def _einsum(calls: Calls, call: Call) -> Einsum:
    (equation, *operands), _ = calls.arguments(call)
    nodes = operands[0] if isinstance(operands[0], list | tuple) else operands
    shapes = {node.name: node.output_shapes[0] for node in calls.cost.nodes if node.output_shapes}
    equation = equation.replace(" ", "")
    if len(nodes) > 2 or "." in equation or "->" not in equation:
        raise InputError(f"how NumPy orders the einsum {equation!r} of {len(nodes)} tensors is not stated")
    letters = {letter: chr(97 + k) for k, letter in enumerate(dict.fromkeys(filter(str.isalpha, equation)))}
    return Einsum(equation.translate(str.maketrans(letters)), tuple(shapes[node.name] for node in nodes))
