"""The arithmetic of the report, on times that are made up; nothing here is measured."""

from tests.benchmarks.attention import MACS
from tests.benchmarks.report import Limits, growth, ratios, report
from tests.benchmarks.tools import FORWARD, FXCOUNT, ON_META, PEERS_ON_CPU, TOOLS, WITH_WEIGHTS

TIMES = {
    "small": {**dict.fromkeys(TOOLS, 4.0), FXCOUNT: 1.0, WITH_WEIGHTS: 1.1, FORWARD: 2.0, "thop": "RuntimeError: no"},
    "large": {**dict.fromkeys(TOOLS, 8.0), FXCOUNT: 6.0, WITH_WEIGHTS: 9.0, FORWARD: 8.0},
}
LIMITS = Limits(
    by_depth={500: 1.0, 1000: 2.0, 2000: 5.0},
    by_steps={250: 1.0, 500: 2.0},
    by_batch={"meta": 1.0, "batch 64": 1.1},
    in_symbols={"in numbers": 0.1, "in batch and length": 1.1},
    memory=10**8,
    import_seconds=0.04,
    help_seconds=0.2,
    first_counts={name: {"fxcount": own, "FlopCounterMode": 2.0} for name, own in (("one", 0.5), ("other", 0.25))},
    attention={FXCOUNT: MACS, "thop": 0, "fvcore": "RuntimeError: no"},
)


def test_ratios() -> None:
    assert ratios(TIMES, FXCOUNT, [ON_META]) == {"small": 0.25, "large": 0.75}
    assert ratios(TIMES, WITH_WEIGHTS, PEERS_ON_CPU) == {"small": 1.1 / 4, "large": 9 / 8}
    assert ratios(TIMES, FXCOUNT, ["thop"]) == {"large": 0.75}
    assert growth(LIMITS.by_depth) == [2.0, 2.5]


def test_the_page_says_what_holds() -> None:
    page = report(TIMES, LIMITS, "python -m tests.benchmarks", rounds=5)
    held = {row[1].strip(): row[3:5] for line in page.split("\n") if len(row := line.split("|")) == 6}
    assert [cell.strip() for cell in held["over FlopCounterMode on meta, slowest model"]] == ["0.75", "no"]
    assert [cell.strip() for cell in held["over the fastest peer on CPU, slowest model"]] == ["1.12", "no"]
    [trained] = [row for what, row in held.items() if what.startswith("with the backward") and "slowest" in what]
    assert [cell.strip() for cell in trained] == ["1.00", "yes"]
    assert [cell.strip() for cell in held["over a plain forward on meta, median"]] == ["0.62", "yes"]
    assert [cell.strip() for cell in held["twice as many layers, no two alike: time"]] == ["2.50", "no"]
    [symbolic] = [row for what, row in held.items() if "symbolic sizes" in what]
    assert [cell.strip() for cell in symbolic] == ["11.00", "no"]
    assert [cell.strip() for cell in held["importing fxcount after torch, ms"]] == ["40", "yes"]
    [first] = [row for what, row in held.items() if what.startswith("the first count")]
    assert [cell.strip() for cell in first] == ["0.25", "yes"]
    [asked] = [row for what, row in held.items() if what.startswith("fxcount --help")]
    assert [cell.strip() for cell in asked] == ["200", "no"]
    counted = {row[1].strip(): row[2:4] for line in page.split("\n") if len(row := line.split("|")) == 5}
    assert [cell.strip() for cell in counted[FXCOUNT]] == ["59,610,624", "100%"]
    assert [cell.strip() for cell in counted["thop"]] == ["0", "0%"]
    assert "- thop on small: RuntimeError: no" in page
