"""The nodes of a graph and their names are those that torch.fx would make."""

import keyword
import operator
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import fx

from fxcount._torch import register_node
from fxcount.tracing.node_creation import NewNodes

PATHS = st.from_regex(r"[a-z0-9_]{1,4}(\.[a-zA-Z0-9_]{1,4}){0,2}", fullmatch=True)
TAKEN = [*keyword.kwlist, "input", "len", "torch", "device", "inf"]
MAGIC = ["__add__", "__getitem__"]
NAMES = st.one_of(PATHS, st.sampled_from([*TAKEN, *MAGIC, "x", "x_1", "für"]))


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
    functions = [torch.add, operator.add, torch.add, operator.add]
    added = [new.add("call_function", function, (), {}, "", {}).name for function in functions]
    assert added == ["add", "add_1", "add_2", "add_3"]


def test_many_nodes_of_one_name_take_linear_time() -> None:
    """A count of 100,000 nodes would not end if each name were looked for from the first on."""
    names = names_of([*(f"x.{number}" for number in range(20_000)), *(["x"] * 20_000)])
    assert len({*names}) == 40_000


Add = Callable[[str, Any, tuple[Any, ...], dict[str, Any]], fx.Node]


def add_every_kind(add: Add) -> None:
    x = add("placeholder", "x", (), {})
    weight = add("get_attr", "linear.weight", (), {})
    y = add("call_function", torch.add, (x, weight), {"alpha": 2})
    z = add("call_method", "transpose", (y, 0, 1), {})
    z = add("call_module", "linear", (z,), {})
    item = add("call_function", operator.getitem, (z, (slice(None), slice(0, 1))), {})
    both = add("call_function", torch.cat, ([x, item],), {"dim": 0})
    add("output", "output", ({"sum": both, "of": [x, None]},), {})


def state_of(graph: fx.Graph) -> list[Any]:
    """All that the nodes hold, and what the graph knows of them."""
    graph.lint()
    nodes = [
        {
            **{name: getattr(node, name) for name in ("name", "op", "target", "type", "_sort_key")},
            **{name: str(getattr(node, name)) for name in ("args", "kwargs", "prev", "next", "users", "_input_nodes")},
            "types": (type(node.args), type(node.kwargs)),
            "meta": {**node.meta, "module": ""},  # which torch.fx does not know
        }
        for node in graph.nodes
    ]
    table = {key: str([*found]) for key, found in graph._find_nodes_lookup_table.table.items()}
    namespace = graph._graph_namespace
    names = {str(node): name for node, name in namespace._obj_to_name.items()}
    return [nodes, len(graph.nodes), table, names, namespace._used_names, str(graph), vars(graph).keys()]


def change_nodes(graph: fx.Graph) -> None:
    """What people do with a graph, for which it looks nodes up."""
    [add] = graph.find_nodes(op="call_function", target=torch.add)
    [item] = graph.find_nodes(op="call_function", target=operator.getitem)
    add.target = torch.sub
    add.name = "difference"
    with graph.inserting_before(item):
        item.args = (graph.call_function(torch.mul, (add, 2)), 0)
    [*_, last, output] = graph.nodes
    output.args = (item,)
    graph.erase_node(last)


def test_a_graph_is_what_torch_fx_makes_of_the_same_nodes() -> None:
    ours, theirs = fx.Graph(), fx.Graph()
    new = NewNodes(ours)
    add_every_kind(lambda op, target, args, kwargs: new.add(op, target, args, kwargs, "", {}))
    add_every_kind(theirs.create_node)
    for node in ours.nodes:
        register_node(ours, node)
    assert state_of(ours) == state_of(theirs)
    change_nodes(ours)
    change_nodes(theirs)
    assert state_of(ours) == state_of(theirs)
    names = " ".join(node.name for node in ours.nodes)
    assert names == "x linear_weight difference transpose linear mul getitem output"
