"""What is said of the calls of operators: which cost anything, which are equal, in which units, and the reasons."""

from collections.abc import Iterable

from fxcount.cost import Cost, OperatorCost
from fxcount.cost.equation import SENT
from fxcount.formulas import OF_COMPLEX, formula_named
from fxcount.formulas.number_kinds import Arithmetic

UNITS = {
    "macs": "multiply-accumulates",
    "mul": "multiplications",
    "add": "additions",
    "div": "divisions",
    "cmp": "comparisons",
    "special": "special functions",
    SENT: "bytes to other ranks",
}


def costs(call: OperatorCost) -> bool:
    """Whether a call costs anything, or is not counted."""
    return bool(call.uncounted or call.sent) or call.cost != Cost()


def stated_by(call: OperatorCost, stated: Cost, field: str) -> int:
    """What the equation of a call comes to in a field, where its cost is ``stated``."""
    return call.sent if field == SENT else getattr(stated, field)


def equal_calls(calls: Iterable[OperatorCost]) -> list[list[OperatorCost]]:
    """The calls, those that are worked out in the same way together."""
    equal: dict[tuple[object, ...], list[OperatorCost]] = {}
    for call in calls:
        key = (call.name, call.cost, call.equation, tuple(call.quantities.items()), call.uncounted)
        equal.setdefault(key, []).append(call)
    return [*equal.values()]


def reason_of(call: OperatorCost) -> str:
    """Where the equation comes from, as the formula says it; empty for a formula that is not fxcount's."""
    name = call.name.replace("._foreach_", ".")
    known = [find(each) for each in (name, name.removesuffix("_")) for find in (OF_COMPLEX.get, formula_named)]
    stating = (each for each in known if each is not None and each.equation and each.equation.text == call.equation)
    return " ".join(next((each.reason for each in stating), "").split())


def why_not_as_stated(cost: Cost, stated: Cost) -> str:
    """Why a call does not cost what its equation states for real numbers."""
    if cost == Arithmetic.COMPLEX.perform(stated):
        return "in complex numbers, of which a multiplication is 4 mul and 2 add, an addition 2 add, a MAC 4 macs"
    if cost == Arithmetic.INDEX.perform(stated):
        return "on integers or booleans, where only contractions count"
    return "in all"


def amounts_text(cost: Cost) -> str:
    """The fields that are not zero, with their units."""
    return ", ".join(f"{number:,} {unit_of(field, number)}" for field, number in cost.to_dict().items() if number)


def unit_of(field: str, number: int) -> str:
    """What ``number`` counts, such as ``multiplications``."""
    return UNITS[field].removesuffix("s") if number == 1 else UNITS[field]
