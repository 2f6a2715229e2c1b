"""Tables: what they show by default, what can be asked for, and that a narrow one cuts nothing without a sign."""

import io
import sys

import pytest
import torch
import transformers
from tabulate import tabulate_formats
from torch import nn
from torchvision import models

from fxcount import FxcountError, GraphCost, InputError, count_graph
from fxcount.views.overview import overview
from fxcount.views.terminal import shorten
from tests.views import tower
from tests.views.tower import body, mystery, rows_of, tower_cost


@pytest.fixture(scope="module")
def resnet() -> GraphCost:
    with torch.device("meta"):
        model = models.resnet50().eval()
    return count_graph(model, torch.empty(1, 3, 224, 224))


def test_nodes_and_unused_parameters_add_up() -> None:
    rows = rows_of(tower_cost().table())
    assert rows[2] == [
        "layers_0_linear",
        "call_module",
        "layers.0.linear",
        "[2, 4]",
        "[2, 4]",
        "20",
        "32",
        "32",
        "19.0%",
    ]
    assert rows[-2] == ["(not used)", f"{tower.UNUSED_PARAMS}", "0", "0", "0.0%"]
    assert rows[-1] == ["total", f"{tower.PARAMS}", f"{tower.MACS}", f"{tower.FLOPS}", "100.0%"]
    assert sum(int(row[-4]) for row in rows[:-1]) == tower.PARAMS
    assert sum(int(row[-2]) for row in rows[:-1]) == tower.FLOPS


def test_operators() -> None:
    linear, mul, total = rows_of(tower_cost().table("operator"))
    assert linear == ["aten.linear", "5", f"{tower.MACS}", f"{tower.MACS}", "85.7%"]
    assert mul == ["aten.mul", "3", "0", f"{3 * tower.BLOCK_MUL}", "14.3%"]
    assert total == ["total", f"{tower.MACS}", f"{tower.FLOPS}", "100.0%"]


def test_top_is_sorted_by_flops_and_keeps_the_sum() -> None:
    rows = rows_of(tower_cost().table(top=2, columns=["name", "params", "flops"]))
    assert rows == [
        ["layers_0_linear", "20", "32"],
        ["layers_1_linear", "20", "32"],
        ["(12 more)", f"{tower.PARAMS - 40}", f"{tower.FLOPS - 64}"],
        ["total", f"{tower.PARAMS}", f"{tower.FLOPS}"],
    ]


def test_sorted_by_any_column() -> None:
    cost = tower_cost()
    assert rows_of(cost.table(sort="params", columns=["name"]))[0] == ["(not used)"]
    names = [row[0] for row in rows_of(cost.table("operator", sort="calls"))]
    assert names == ["aten.linear", "aten.mul", "total"]
    names = [row[0] for row in rows_of(cost.table(sort="name"))][:-1]
    assert names == sorted(names)
    assert rows_of(cost.table(sort="share", columns=["name"])) == rows_of(cost.table(sort="flops", columns=["name"]))
    assert rows_of(cost.table(sort="module", columns=["name", "module"]))[-2] == ["(not used)"]
    assert rows_of(cost.table(sort="input_shapes", columns=["name"]))[0] == ["x"]


def test_every_field_can_be_shown() -> None:
    # the three blocks add a bias of 2 * 4 elements
    assert rows_of(tower_cost().table("operator", columns=["name", "add", "mul"]))[-1] == ["total", "24", "24"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"by": "layer"}, "unknown view 'layer'; costs are shown by node, module, operator"),
        ({"columns": ["name", "cost"]}, "unknown column 'cost'; by node there are name, op, target, module"),
        ({"by": "operator", "sort": "params"}, "unknown column 'params'; by operator there are name, calls, macs"),
        ({"format": "word"}, "unknown format 'word'; the known ones are asciidoc"),
        ({"depth": 1}, "depth is for the tree of modules"),
        ({"top": -1}, "top must not be negative"),
        ({"by": "module", "depth": -1}, "depth must not be negative"),
    ],
)
def test_wrong_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(FxcountError, match=message):
        tower_cost().table(**arguments)


@pytest.mark.parametrize("format", tabulate_formats)
def test_every_format_says_what_its_numbers_are(format: str) -> None:
    for by in ("node", "module", "operator"):
        text = tower_cost().table(by, format=format)
        assert "FLOPs here are multiplications (macs + mul): 168 in all." in text
        assert all(header in text for header in ("MACs", "FLOPs", "share"))


def test_github_keeps_the_indentation() -> None:
    line = next(line for line in tower_cost().table("module", format="github").split("\n") if "linear" in line)
    assert line.startswith("| \u00a0\u00a0\u00a0\u00a0linear")


def test_uncounted_operators_are_named() -> None:
    cost = count_graph(lambda x: mystery(mystery(x)), torch.empty(3))
    assert str(cost).split("\n")[-1] == "Not counted: fxcount_views.mystery (2 calls)."


def test_printed_whole_while_it_fits() -> None:
    assert str(tower_cost()) == tower_cost().table()


def screens() -> dict[str, GraphCost]:
    """Three models that people count first, each with a line of its own that is not small."""
    config = transformers.LlamaConfig(num_hidden_layers=32)
    with torch.device("meta"):
        llama = transformers.LlamaForCausalLM(config).eval()
        vision = {name: getattr(models, name)().eval() for name in ("resnet50", "vit_b_16")}
        image = torch.empty(1, 3, 224, 224)
    costs = {name: count_graph(model, image) for name, model in vision.items()}
    return {**costs, "Llama": count_graph(llama, (), {"input_ids": torch.ones(1, 128, dtype=torch.int64)})}


def test_it_fits_a_screen_and_nothing_is_cut_without_a_sign() -> None:
    """45 lines at 80 and 120 columns; the class and the share stay, and what is small adds up in one row."""
    for name, cost in screens().items():
        for width in (80, 120):
            text = overview(cost, width=width, on_command_line=True)
            assert max(map(len, text.split("\n"))) <= width
            assert len(text.split("\n")) <= 45, name
            header = body(text).split("\n")[0].split()
            assert {"module", "class", "params", "share"} <= {*header}
            assert "in one row those that make up less than 1%; --all shows all of them" in " ".join(text.split())
        rows = rows_of(overview(cost, format="simple"))
        top = [row for row in rows[1:] if not row[0].startswith("   ")]
        assert sum(number(row[-2]) for row in top) == number(rows[0][-2]) == cost.flops
        small = [row for row in rows if "more)" in row[0]]
        assert small
        assert all(number(row[-2]) < cost.flops / 100 for row in small)


def number(cell: str) -> int:
    return int(cell.replace(",", ""))


def test_units() -> None:
    cost = count_graph(nn.Linear(1000, 2000, bias=False), torch.empty(3, 1000))
    cells = {units: rows_of(cost.table("module", units=units))[0][3:6] for units in ("auto", "exact", "K", "G")}
    assert cells == {
        "auto": ["2,000,000", "6,000,000", "6,000,000"],
        "exact": ["2,000,000", "6,000,000", "6,000,000"],
        "K": ["2,000.00 K", "6,000.00 K", "6,000.00 K"],
        "G": ["0.00 G", "0.01 G", "0.01 G"],
    }
    columns = ["name", "params", "macs"]
    assert rows_of(cost.table("module", columns=columns, width=36))[0] == ["(model)", "2,000,000", "6,000,000"]
    assert rows_of(cost.table("module", columns=columns, width=26))[0] == ["(model)", "2.00 M", "6.00 M"]
    assert rows_of(cost.table("module", columns=columns, width=26, units="exact"))[0][1] == "2,000,000"
    with pytest.raises(InputError, match="unknown units 'k'; counts are written auto, exact, K, M, G, T, P, E"):
        cost.table(units="k")


def test_printed_to_the_depth_that_fits() -> None:
    def nest(width: int, depth: int) -> nn.Module:
        """Every module has ``width`` different ones inside, down to ``depth``: their leaves differ in width."""
        nonlocal size
        if depth == 0:
            size += 1
            return nn.Sequential(nn.Linear(3, size), nn.Linear(size, 3))
        return nn.Sequential(*(nest(width, depth - 1) for _ in range(width)))

    size = 0
    cost = count_graph(nest(4, 3), torch.empty(2, 3))
    # 1 + 4 + 16 modules, and 64 inside them, which would be more than thirty rows
    assert len(rows_of(str(cost))) == 1 + 4 + 16
    assert "Modules are shown to depth 2 of 4; print(cost.table('module')) shows all of them" in str(cost)


def test_printed_with_the_largest_where_no_depth_fits() -> None:
    wide = nn.Sequential(*(nn.Linear(1 + k % 2, 2 - k % 2) for k in range(300)))
    rows = rows_of(str(count_graph(wide, torch.empty(2, 1))))
    assert len(rows) == 1 + 30 + 1
    assert rows[-1][0] == "  (270 more)"


@pytest.mark.parametrize("by", ["node", "module", "operator"])
@pytest.mark.parametrize("width", [80, 100, 120])
def test_nothing_is_cut_without_a_sign(resnet: GraphCost, by: str, width: int) -> None:
    narrow, whole = resnet.table(by, width=width), resnet.table(by)
    assert max(map(len, narrow.split("\n"))) <= width
    names = [row[0].strip() for row in rows_of(whole)]
    for name, shown in zip(names, (row[0].strip() for row in rows_of(narrow)), strict=True):
        assert shown == name or "…" in shown
    headers = [set(body(text).split("\n")[0].split()) for text in (whole, narrow)]
    notes = [line for line in narrow.split("\n") if line.startswith(f"Left out to fit {width} columns: ")]
    assert {name for note in notes for name in note.rstrip(".").split(": ")[1].split(", ")} == headers[0] - headers[1]


def test_the_last_column_stays() -> None:
    assert body(tower_cost().table(columns=["op"])).startswith("operation")
    assert tower_cost().table(columns=[]).endswith("special).")


def test_long_names_are_shortened_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shorten("encoder.layers.11.attention", 16) == "encoder…ttention"
    assert shorten("encoder", 7) == "encoder"
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert shorten("encoder.layers.11.attention", 16) == "encode...tention"


def test_ascii_terminals(resnet: GraphCost, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    print(resnet, resnet.table(width=60), resnet.table("module", format="github"), resnet.explain("layer1.0"))


def test_the_width_of_the_terminal(resnet: GraphCost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, str(resnet).split("\n"))) <= 80
    assert max(map(len, str(tower_cost()).split("\n"))) <= 80


def in_a_terminal(monkeypatch: pytest.MonkeyPatch, width: int, **environment: str) -> str:
    """What ``print`` shows of the tower there."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("fxcount.views.terminal.printable", lambda text, otherwise: text)
    return tower_cost().table("module", width=width)


def test_bars_of_shares_are_drawn_where_there_is_room_and_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "█" not in tower_cost().table("module", width=120)
    lines = in_a_terminal(monkeypatch, 120).splitlines()
    whole = next(line for line in lines if line.startswith("(model)"))
    assert whole.endswith("100.0%  ██████████")
    assert "█" not in in_a_terminal(monkeypatch, 60)
    assert max(map(len, in_a_terminal(monkeypatch, 80).splitlines())) <= 80


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_plain_terminal_has_no_bars(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert "█" not in in_a_terminal(monkeypatch, 120, **environment)
