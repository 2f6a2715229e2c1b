"""The names of nodes: those of the calls, valid in Python, no two the same."""

import keyword

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import fx

from fxcount.tracing.nodes import NewNodes

PATHS = st.from_regex(r"[a-z0-9_]{1,4}(\.[a-zA-Z0-9_]{1,4}){0,2}", fullmatch=True)
TAKEN = [*keyword.kwlist, "input", "len", "torch", "device", "inf"]
NAMES = st.one_of(PATHS, st.sampled_from([*TAKEN, "x", "x_1", "für"]))


def names_of(targets: list[str]) -> list[str]:
    new = NewNodes(fx.Graph())
    return [new.add("call_module", target, (), {}, "", {}).name for target in targets]


@given(st.lists(NAMES, max_size=12))
def test_names_are_valid_and_unique(targets: list[str]) -> None:
    names = names_of(targets)
    assert len({*names}) == len(names)
    for name in names:
        assert name.isidentifier()
        assert name.isascii()
        assert name not in TAKEN


@given(st.lists(NAMES, max_size=12))
def test_names_are_those_of_torch_fx(targets: list[str]) -> None:
    graph = fx.Graph()
    assert names_of(targets) == [graph.call_module(target).name for target in targets]


def test_names_say_what_is_called() -> None:
    assert names_of(["a.b", "x", "x", "input", "x_1", "x_1"]) == ["a_b", "x", "x_1", "input_1", "x_2", "x_3"]
    new = NewNodes(fx.Graph())
    assert [new.add("call_function", torch.add, (), {}, "", {}).name for _ in range(3)] == ["add", "add_1", "add_2"]
