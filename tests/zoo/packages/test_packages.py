"""The program beside the zoo: its table, and its section of the report on results that are made up."""

import torch

from tests.zoo.check import Result
from tests.zoo.packages.examples import floats, named, several, tokens
from tests.zoo.packages.model import Model, made
from tests.zoo.packages.report import INTRODUCTION, section, section_of, with_section
from tests.zoo.packages_models import PACKAGES, entries


def test_what_is_made_is_imported_when_it_is_called() -> None:
    linear = made("torch.nn:Linear", 3, 4, bias=False)
    assert [tuple(each.shape) for each in linear().parameters()] == [(4, 3)]
    made("not_installed:Model")


def test_a_model_is_named_after_what_makes_it() -> None:
    def both() -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.ReLU())

    for model, name in (
        (Model(made("torch.nn:Linear", 3, 4), floats(2, 3)), "torch/Linear"),
        (Model(both, floats(1)), "torch/both"),
        (Model(both, floats(1), name="ReLU"), "torch/ReLU"),
    ):
        entry = model.entry("torch")
        assert (entry.family, entry.kind, entry.name) == ("packages", "torch", name)


def test_a_model_is_real_and_runs_on_data_but_a_large_one() -> None:
    linear = made("torch.nn:Linear", 3, 4)
    entry = Model(linear, floats(2, 3)).entry("torch")
    large = Model(linear, floats(2, 3), on_meta=True).entry("torch")
    assert (entry.executes, large.executes) == (True, False)
    assert [each.make()[0].weight.device.type for each in (entry, large)] == ["cpu", "meta"]
    assert entry.make()[1].shape == (2, 3)


def test_examples() -> None:
    first, second = several(floats(2, 3), tokens(32))()
    assert (first.shape, second.tolist()) == ((2, 3), [[*range(30), 0, 1]])
    assert named(x=floats(1))()["x"].shape == (1,)


def test_every_model_has_a_name_of_its_own() -> None:
    names = [entry.name for entry in entries()]
    assert len(names) == len(set(names))
    assert {entry.kind for entry in entries()} == {*PACKAGES}


MODEL = Model(made("a:A"), floats(1), otherwise={"aten.mm": "a complex product is one"})
ENTRIES = {"a-b/A": MODEL.entry("a-b")}
RESULTS = [
    Result(
        "packages", "a-b", "a-b/A", "recorded", macs=4000, torch="equal but for other rules", otherwise={"aten.mm": 3}
    ),
    Result("packages", "a-b", "a-b/B", "symbolic", macs=5, torch="equal"),
    Result("packages", "c", "c/C", "recorded", macs=7, torch="equal but for unknown operators", unknown={"aten.mv": 7}),
    Result("packages", "c", "c/D", problems=["cannot be built: no"]),
]
SECTION = """
## Other packages

{introduction}
2 packages, 4 models: every check held for 3. Compared with `FlopCounterMode`: 1 equal but for other rules, 1 equal, \
1 equal but for unknown operators.

| package | version | model | tracer | macs | FlopCounterMode |
| --- | --- | --- | --- | --- | --- |
| a-b | 1.2 | A | recorded | 4,000 | equal but for aten.mm 3 |
| a-b | 1.2 | B | symbolic | 5 | equal |
| c | 3 | C | recorded | 7 | equal but for aten.mv 7 |
| c | 3 | D |  | 0 |  |

- aten.mm: a complex product is one (a-b/A)

- c/D: cannot be built: no
"""


def test_the_section_names_packages_versions_and_what_differs() -> None:
    assert section(RESULTS, ENTRIES, {"A_b": "1.2", "c": "3"}) == SECTION.format(introduction=INTRODUCTION)


def test_the_section_takes_the_place_of_the_one_before() -> None:
    page = "# Coverage\n\nText.\n"
    once = with_section(page, "\n## Other packages\n\nOne.\n")
    assert once == page + "\n## Other packages\n\nOne.\n"
    assert section_of(page) == ""
    assert section_of(once) == "\n## Other packages\n\nOne.\n"
    assert with_section(once, "\n## Other packages\n\nTwo.\n") == page + "\n## Other packages\n\nTwo.\n"
