"""A sample of the zoo, chosen by family: what must hold for every model holds for these."""

import json
import os
from pathlib import Path

import pytest

from tests.optional import TORCH
from tests.zoo.__main__ import main
from tests.zoo.families import FAMILIES, entries_of
from tests.zoo.run import run
from tests.zoo.sample import sample


@pytest.mark.parametrize("family", FAMILIES)
def test_sample(family: str) -> None:
    entries = sample(entries_of(family).values())
    few = entries[::30]
    jobs = os.cpu_count() or 1
    others = [entry for entry in entries if entry not in few]
    results = [*run(few, jobs, seconds=120), *run(others, jobs, seconds=120, backward=False)]
    assert len(results) == len(entries)
    problems = {result.name: result.problems for result in results if result.problems}
    if TORCH < (2, 11):  # where transformers asks on which addresses the weights of experts lie
        problems = {name: some for name, some in problems.items() if not any("data_ptr" in each for each in some)}
    assert problems == {}
    assert {result.name: result.uncounted for result in results if result.uncounted} == {}


def test_the_sample_of_timm_is_large_and_of_every_kind() -> None:
    entries = entries_of("timm").values()
    chosen = sample(entries)
    assert len(chosen) >= 150
    assert {entry.kind for entry in chosen} == {entry.kind for entry in entries}


def test_what_another_run_counted_otherwise_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tmp_path / "before.jsonl"
    one = ["--family", "timm", "--match", "resnet18", "--jobs", "1"]
    assert main([*one, "--results", str(before)]) == 0
    assert main([*one, "--results", str(before), "--against", str(before)]) == 0
    assert "1 models compared, 0 counted otherwise" in capsys.readouterr().out
    saved, other = json.loads(before.read_text()), tmp_path / "other.jsonl"
    other.write_text(json.dumps({**saved, "params": saved["params"] + 1}))
    assert main([*one, "--results", str(before), "--against", str(other)]) == 1
    assert "timm resnet18: params 11689513 -> 11689512" in capsys.readouterr().out
