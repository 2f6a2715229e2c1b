"""``python -m tests.serving``: counts generations and large language models, and writes ``docs/serving.md``."""

import warnings
from pathlib import Path

import transformers
from tqdm import tqdm

from tests.serving.families import CONFIGURATIONS
from tests.serving.held import held
from tests.serving.page import page
from tests.serving.published import MODELS, Counted

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


def main() -> None:
    warnings.simplefilter("ignore")
    transformers.logging.set_verbosity_error()
    families = [held(family) for family in tqdm(CONFIGURATIONS)]
    PAGE.write_text(page(families, {name: Counted(name) for name in MODELS}))


if __name__ == "__main__":
    main()
