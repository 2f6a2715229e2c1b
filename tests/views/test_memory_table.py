"""The memory of a model as text, as rows and as a picture."""

import csv
import io
import json

import pytest
import torch
from torch import nn

import fxcount
from fxcount import InputError, MemoryCost, count_memory
from fxcount.views.chart import TOP
from fxcount.views.memory_plot import MOST_POINTS
from fxcount.views.units import size_text
from tests.views.test_plot import drawn, texts

TORCH_VERSION = torch.__version__.partition("+")[0]


def two_layers(**options: object) -> MemoryCost:
    model = nn.Sequential(nn.Linear(128, 512, bias=False), nn.ReLU(), nn.Linear(512, 128, bias=False))
    return count_memory(model, torch.randn(64, 128), **options)


def test_a_size_is_in_the_largest_unit_of_which_there_is_one() -> None:
    sizes = {
        0: "0 B",
        1023: "1,023 B",
        1024: "1.0 KiB",
        2**20 - 1: "1,024.0 KiB",
        3 * 2**29: "1.5 GiB",
        2**70: "1,048,576.0 PiB",
    }
    assert {size: size_text(size) for size in sizes} == sizes


def test_what_is_printed() -> None:
    expected = f"""\
Sequential, train mode. Input: [64, 128] float32. Device: cpu; fxcount {fxcount.__version__}, torch {TORCH_VERSION}.

at the peak      bytes               share
-------------  -------  ---------  -------
parameters     524,288  512.0 KiB    64.0%
inputs          32,768   32.0 KiB     4.0%
activations    262,144  256.0 KiB    32.0%
total          819,200  800.0 KiB

module    class         parameters       peak    outputs
--------  ----------  ------------  ---------  ---------
(model)   Sequential     512.0 KiB  256.0 KiB   32.0 KiB
  0       Linear         256.0 KiB  128.0 KiB  128.0 KiB
  1       ReLU                      128.0 KiB  128.0 KiB
  2       Linear         256.0 KiB   32.0 KiB   32.0 KiB

Of a call without gradients: the peak is 819,200 bytes (800.0 KiB), held after aten.relu in 1 (forward).
peak: the most at once of what a module's operators make; outputs: what it returns."""
    assert str(two_layers()) == expected
    assert repr(two_layers()) == "MemoryCost(peak=800.0 KiB, 5 operators, cpu)"


def test_in_training_it_says_what_is_saved() -> None:
    memory = two_layers(optimizer=torch.optim.AdamW)
    text = str(memory)
    assert "Of a call with gradients, and the first step of AdamW: " in text
    assert "Kept from the forward pass for the backward pass: 160.0 KiB, but for parameters." in text
    assert "saved    checkpoint saves" in text
    assert "<table>" in memory._repr_html_()
    assert max(map(len, memory.table(width=80).split("\n"))) <= 80


def test_tables_by_kind_tensor_and_operator() -> None:
    memory = two_layers()
    assert memory.table("kind").split("\n")[4] == "parameters     524,288  512.0 KiB    64.0%"
    assert "parameters   [512, 128]  float32  256.0 KiB        1" in memory.table("tensor")
    assert "2  aten.relu   1         forward  800.0 KiB" in memory.table("operator")
    assert "4 more rows are not shown." in memory.table("operator", top=1)
    with pytest.raises(InputError, match="unknown view 'node'; memory is shown by module, kind, tensor, operator"):
        memory.table("node")


def test_what_is_exported_adds_up_exactly() -> None:
    memory = two_layers(backward=True)
    data = json.loads(memory.to_json())
    assert data["peak"] == sum(data["at_peak"].values()) == max(each["held"] for each in data["timeline"])
    assert (
        data["saved"]
        == sum(each["size"] for each in data["allocations"] if each["saved_by"] and each["made"] >= 0) + 64 * 128 * 4
    )
    rows = [*csv.DictReader(io.StringIO(memory.to_csv()))]
    assert [(each["name"], each["parameters"]) for each in rows] == [
        ("", "524288"),
        ("0", "262144"),
        ("1", "0"),
        ("2", "262144"),
    ]
    assert next(each["again_macs"] for each in rows) == str(2 * 64 * 128 * 512)
    for by, size in (("kind", "bytes"), ("tensor", "size")):
        assert sum(int(each[size]) for each in csv.DictReader(io.StringIO(memory.to_csv(by)))) == memory.peak
    moments = [*csv.DictReader(io.StringIO(memory.to_csv("operator")))]
    kinds = [*moments[0]][4:]
    assert all(sum(int(each[kind]) for kind in kinds) == int(each["held"]) for each in moments)
    with pytest.raises(InputError, match="unknown view"):
        memory.to_csv("node")


def test_the_picture_adds_up_and_marks_the_peak() -> None:
    memory = two_layers(optimizer=torch.optim.AdamW)
    svg = drawn(memory.plot())
    (peak,) = texts(svg, "point")
    assert peak.startswith(f"peak: {size_text(memory.peak)} after aten.")
    tops = [float(pair.split(",")[1]) for each in svg.iter() for pair in (each.get("points") or "").split()]
    assert min(tops) == TOP
    strips = texts(svg, "strip")
    assert strips[memory.moment].startswith(f"{size_text(memory.peak)} held after aten.")


def test_a_long_run_is_drawn_in_stretches_and_keeps_its_peak() -> None:
    def long(x: torch.Tensor) -> torch.Tensor:
        for _ in range(MOST_POINTS + 7):
            x = x + 1
        return x @ x

    memory = count_memory(long, torch.ones(3, 3))
    strips = texts(drawn(memory.plot()), "strip")
    assert len(strips) <= MOST_POINTS
    assert any(each.startswith(f"{size_text(memory.peak)} held after") for each in strips)


def test_what_was_counted_stands_above() -> None:
    memory = count_memory(nn.Linear(3, 4).eval(), torch.ones(5, 3), device="cpu")
    line = str(memory).split("\n")[0]
    assert line.startswith("Linear, eval mode. Input: [5, 3] float32. Device: cpu; fxcount ")
    assert memory.table("tensor").split("\n")[0] == line
    assert str(memory).count("Linear, eval mode.") == 1
