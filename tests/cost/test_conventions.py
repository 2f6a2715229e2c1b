from dataclasses import fields

import pytest

from fxcount import CONVENTIONS, Convention, ConventionError, Cost
from fxcount.cost import FIELDS

ONE_EACH = Cost(macs=1, mul=1, add=1, div=1, cmp=1, special=1)


def test_the_fields_are_those_of_a_cost() -> None:
    assert tuple(field.name for field in fields(Cost)) == FIELDS


@pytest.mark.parametrize(
    ("name", "flops"), [("multiplications", 2), ("macs", 1), ("torch", 2), ("arithmetic", 2 + 1 + 1 + 1 + 1)]
)
def test_conventions(name: str, flops: int) -> None:
    assert ONE_EACH.under(name) == flops


def test_a_mapping_is_a_convention() -> None:
    assert ONE_EACH.under({"macs": 2, "cmp": 5}) == 7
    assert Convention.of({"macs": 2, "cmp": 5}).meaning == "2 macs + 5 cmp"
    assert Convention.of(CONVENTIONS["torch"]) is CONVENTIONS["torch"]


@pytest.mark.parametrize("wrong", ["flops", {"flops": 1}, {"macs": 0.5}, 3])
def test_an_unknown_convention_lists_the_known_ones(wrong: object) -> None:
    with pytest.raises(ConventionError, match=r"multiplications, macs, torch, arithmetic|macs, mul, add|stay exact"):
        Convention.of(wrong)
