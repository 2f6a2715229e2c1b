"""Counts models of the zoo in symbolic sizes and in numbers, and writes ``docs/sizes.md``.

    python -m tests.symbols [--family F] [--every N] [--output FILE] [--results FILE ...]

``--output`` writes the results to a file instead, ``--results`` makes the page of such files.
"""

import argparse
import json
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
import transformers
from tqdm import tqdm

from tests.symbols.compare import POINTS, Compared, compare
from tests.symbols.page import page
from tests.zoo.families import FAMILIES, entries_of

PAGE = Path(__file__).parent.parent.parent / "docs" / "sizes.md"

EVERY = {("timm", "batch"): 8, ("timm", "batch, height and width"): 12, ("torchvision", "batch"): 2}
"""Of some families one model in so many is compared."""


def run(families: list[str]) -> Iterator[Compared]:
    for family in families:
        for kind in POINTS:
            entries = [*entries_of(family).values()][:: EVERY.get((family, kind), 1)]
            if family == "transformers" and kind == "batch":
                continue
            for entry in tqdm(entries, desc=f"{family}, {kind}", mininterval=10):
                result = None if entry.needs_data else compare(entry, kind)
                if result is not None:
                    yield result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", action="append", choices=FAMILIES)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--results", type=Path, nargs="+")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    families = options.family or [*FAMILIES]
    if options.output:
        with options.output.open("w") as file:
            for each in run(families):
                file.write(f"{json.dumps(asdict(each))}\n")
                file.flush()
        return
    if options.results:
        lines = [line for path in options.results for line in path.read_text().splitlines()]
        results = [Compared(**json.loads(line)) for line in lines]
    else:
        results = [*run(families)]
    PAGE.write_text(page(results))


if __name__ == "__main__":
    main()
