"""Measures this machine's CPU and what runs on it, and writes ``docs/roofline.md``.

    python -m tests.roofline [--match TEXT]

With ``--match`` only what has the text in its name is run, and the page is printed.
"""

import argparse
import warnings
from pathlib import Path

from tqdm import tqdm

from fxcount.analyses.device import Device
from tests.benchmarks.report import machine
from tests.roofline.measured import MODELS, OPERATORS, fastest, measured
from tests.roofline.page import page

PAGE = Path(__file__).parents[2] / "docs" / "roofline.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.roofline", description=__doc__)
    parser.add_argument("--match", default="")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    device = Device.measure(20)
    runs = [*tqdm(measured(options.match), total=len(MODELS | OPERATORS))]
    device = fastest(device, Device.measure(20))  # a machine may be quieter later
    results = [each for run in runs for each in run.on(device)]
    text = page(device, machine(), results, set(MODELS))
    if options.match:
        print(text)
    else:
        PAGE.write_text(text)


if __name__ == "__main__":
    main()
