"""Runs the other tools on all models, and writes ``docs/other-tools.md``.

    python -m tests.other_tools [--match TEXT]

It needs the extra ``bench``. With ``--match`` only models with the text in their name are run, and the page is printed.
"""

import argparse
import importlib.metadata
import warnings
from pathlib import Path

from tqdm import tqdm

from tests.other_tools.held import held
from tests.other_tools.models import MODELS
from tests.other_tools.page import page
from tests.other_tools.tools import TOOLS, version

PAGE = Path(__file__).parents[2] / "docs" / "other-tools.md"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.other_tools", description=__doc__)
    parser.add_argument("--match", default="")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    models = [held(name) for name in tqdm([name for name in MODELS if options.match in name])]
    text = page(models, versions())
    if options.match:
        print(text)
    else:
        PAGE.write_text(text)


def versions() -> str:
    """Those of everything that is run or builds a model here."""
    of_models = {name: importlib.metadata.version(name) for name in ("torchvision", "timm", "transformers", "numpy")}
    return ", ".join(
        f"{name} {number}" for name, number in ({tool: version(tool) for tool in TOOLS} | of_models).items()
    )


if __name__ == "__main__":
    main()
