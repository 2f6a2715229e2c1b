"""A sample of the zoo, chosen by family: what must hold for every model holds for these."""

import os

import pytest

from tests.zoo.families import FAMILIES, entries_of
from tests.zoo.run import run
from tests.zoo.sample import sample


@pytest.mark.parametrize("family", FAMILIES)
def test_sample(family: str) -> None:
    entries = sample(entries_of(family).values())
    results = list(run(entries, jobs=os.cpu_count() or 1, seconds=120))
    assert len(results) == len(entries)
    assert {result.name: result.problems for result in results if result.problems} == {}
    assert {result.name: result.uncounted for result in results if result.uncounted} == {}


def test_the_sample_of_timm_is_large_and_of_every_kind() -> None:
    entries = entries_of("timm").values()
    chosen = sample(entries)
    assert len(chosen) >= 150
    assert {entry.kind for entry in chosen} == {entry.kind for entry in entries}
