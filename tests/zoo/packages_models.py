"""Models of other packages of PyPI."""

from tests.zoo.entry import Entry
from tests.zoo.packages import flows, generation, graphs, language, science, sound, tables, vision

PACKAGES = {
    package: models
    for file in (vision, language, sound, generation, graphs, tables, science, flows)
    for package, models in file.PACKAGES.items()
}
"""The models of each package, by its name on PyPI."""


def entries() -> list[Entry]:
    return [model.entry(package) for package, models in PACKAGES.items() for model in models]
