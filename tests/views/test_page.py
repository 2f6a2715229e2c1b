"""The page in a real browser: what it shows, how it sorts and folds, and that it asks nobody for anything."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fxcount import CONVENTIONS, Cost, GraphCost, count_graph
from fxcount.views.page import page
from tests.test_count import Residual

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed")

OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"),
    "--virtual-time-budget=20000",
)

BEFORE = """<script>
const refused = [], errors = [];
addEventListener("securitypolicyviolation", event => refused.push(event.blockedURI));
addEventListener("error", event => errors.push(event.message));
</script>"""

AFTER = """<pre id="report"></pre><script>
const visible = selector => [...document.querySelectorAll(selector)].filter(element => element.offsetParent);
const rows = table => visible(`#${table} tbody tr`).map(row => [...row.cells].map(cell => cell.textContent));
const column = (table, k) => rows(table).map(row => row[k]);
const click = (table, heading) =>
  visible(`#${table} th button`).find(button => button.textContent === heading).click();
const fold = name =>
  visible("#modules tbody tr").find(row => row.cells[0].textContent === name).querySelector("button").click();
const boxes = () => visible("#picture").flatMap(
  picture => [...picture.querySelectorAll("text")].map(text => text.textContent.trim()).filter(Boolean));
const read_as = convention => { choice.value = convention; choice.dispatchEvent(new Event("change")); };
const later = () => new Promise(done => setTimeout(done, 1000));
(async () => {
  await later();
  const answer = await (async () => { %s })();
  await later();
  document.getElementById("report").textContent = JSON.stringify({
    answer, refused, errors, loaded: performance.getEntriesByType("resource").map(entry => entry.name),
  });
})();
</script>"""


def in_browser(cost: GraphCost, script: str, directory: Path) -> dict[str, Any]:
    """What ``script`` returns when it runs in the page, what the page loaded, was refused, and its errors."""
    path = directory / "page.html"
    cost.to_html(path)
    start, _, rest = path.read_text(encoding="utf-8").partition("<title>")
    body, _, end = rest.rpartition("</body>")
    path.write_text(f"{start}{BEFORE}<title>{body}{AFTER % script}</body>{end}", encoding="utf-8")
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={directory / 'profile'}", "--dump-dom", path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    (report,) = re.findall(r'<pre id="report">(.*?)</pre>', dom, re.DOTALL)
    found: dict[str, Any] = json.loads(html.unescape(report))
    return found


def answer(cost: GraphCost, script: str, directory: Path) -> Any:
    """What ``script`` returns; the page must run without errors and ask for nothing."""
    found = in_browser(cost, script, directory)
    assert (found["errors"], found["refused"], found["loaded"]) == ([], [], [])
    return found["answer"]


def residual(convention: str = "multiplications") -> GraphCost:
    return count_graph(Residual(), torch.randn(3, 4), convention=convention)


@needs_browser
def test_tables(tmp_path: Path) -> None:
    modules, operators = answer(residual(), 'return [rows("modules"), rows("operators")]', tmp_path)
    assert modules == [
        ["(model)", "Residual", "1", "96", "288", "288", "100.0%"],
        ["layer", "Linear", "2", "20", "96", "96", "33.3%"],
        ["block", "Sequential", "1", "76", "192", "192", "66.7%"],
        ["0", "Linear", "1", "40", "96", "96", "33.3%"],
        ["1", "ReLU", "1", "0", "0", "0", "0.0%"],
        ["2", "Linear", "1", "36", "96", "96", "33.3%"],
        ["(own)", "", "", "0", "0", "0", "0.0%"],
    ]
    assert operators == [
        ["aten.linear", "4", "288", "288", "100.0%"],
        ["aten.relu", "1", "0", "0", "0.0%"],
        ["aten.add", "1", "0", "0", "0.0%"],
    ]


@needs_browser
def test_sorting_keeps_the_tree(tmp_path: Path) -> None:
    script = """
      const orders = [];
      for (const heading of ["FLOPs", "FLOPs", "module", "class"]) {
        click("modules", heading);
        orders.push(column("modules", 0));
      }
      click("operators", "calls");
      click("operators", "calls");
      orders.push(column("operators", 0));
      return orders;
    """
    largest, smallest, by_name, by_class, operators = answer(residual(), script, tmp_path)
    assert largest == ["(model)", "block", "0", "2", "1", "layer", "(own)"]
    assert smallest == ["(model)", "(own)", "layer", "block", "1", "0", "2"]
    assert by_name == ["(model)", "(own)", "block", "0", "1", "2", "layer"]
    assert by_class == ["(model)", "(own)", "layer", "block", "0", "2", "1"]
    assert operators == ["aten.relu", "aten.add", "aten.linear"]


@needs_browser
def test_numbers_sort_as_numbers(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(9, 1), nn.Linear(1, 1000), nn.Linear(1000, 20))
    order = answer(
        count_graph(model, torch.randn(1, 9)), 'click("modules", "MACs"); return column("modules", 4)', tmp_path
    )
    assert order == ["21,009", "20,000", "1,000", "9"]


@needs_browser
def test_folding(tmp_path: Path) -> None:
    script = """
      fold("block");
      const folded = column("modules", 0);
      click("modules", "module");
      const sorted = column("modules", 0);
      fold("block");
      return [folded, sorted, column("modules", 0)];
    """
    folded, sorted_, unfolded = answer(residual(), script, tmp_path)
    assert folded == ["(model)", "layer", "block", "(own)"]
    assert sorted_ == ["(model)", "(own)", "block", "layer"]
    assert unfolded == ["(model)", "(own)", "block", "0", "1", "2", "layer"]


@needs_browser
def test_long_trees_start_folded_and_equal_modules_are_one_row(tmp_path: Path) -> None:
    long = nn.Sequential(*(nn.Linear(4 + k, 5 + k) for k in range(70)))
    equal = nn.Sequential(*(nn.Linear(74, 74, bias=False) for _ in range(3)))
    script = 'const start = column("modules", 0); fold("1"); return [start, rows("modules").at(-1)]'
    start, last = answer(count_graph(nn.Sequential(long, equal), torch.randn(1, 4)), script, tmp_path)
    assert start == ["(model)", "0", "1"]
    assert last[0].split() == ["0-2", "x3"]
    assert last[1:5] == ["Linear", "3", f"{3 * 74 * 74:,}", f"{3 * 74 * 74:,}"]


@needs_browser
@pytest.mark.parametrize("first", ["multiplications", "torch"])
def test_the_convention_switch(first: str, tmp_path: Path) -> None:
    script = """
      const seen = {};
      for (const convention of [...choice.options].map(option => option.value)) {
        read_as(convention);
        await later();
        seen[convention] = [column("operators", 3), visible("p").map(p => p.textContent), boxes()];
      }
      return seen;
    """
    seen = answer(residual(first), script, tmp_path)
    assert next(iter(seen)) == first
    assert set(seen) == set(CONVENTIONS)
    # Linear layers of 288 macs and 60 biases, and 12 sums; of them 192 and 36 in the block.
    arithmetic = (576 + 60, 12, "64.8%")
    flops = {"multiplications": (288, 0, "66.7%"), "macs": (288, 0, "66.7%"), "torch": (576, 0, "66.7%")}
    for name, (linear, add, share) in {**flops, "arithmetic": arithmetic}.items():
        meaning = CONVENTIONS[name].meaning
        column, paragraphs, boxes = seen[name]
        assert column == [str(linear), "0", str(add)]
        assert f"FLOPs here are {name} ({meaning}): {linear + add} in all." in paragraphs
        assert f"Residual: {linear + add} FLOPs ({name}: {meaning}), by module" in boxes
        assert f"block {share}" in [" ".join(box.split()) for box in boxes]


@needs_browser
def test_a_request_would_be_refused_and_seen(tmp_path: Path) -> None:
    """What shows that no request is made would show one."""
    found = in_browser(residual(), 'await fetch("https://example.com/").catch(() => 0)', tmp_path)
    assert found["refused"] == ["https://example.com/"]


def test_names_are_text_and_not_markup() -> None:
    odd = type("</script><b>", (nn.ReLU,), {"__module__": "torch.nn.odd"})
    text = page(count_graph(nn.Sequential(odd()), torch.randn(2)))
    assert "</script><b>" not in text
    assert "&lt;/script&gt;&lt;b&gt;" in text


def test_a_convention_of_ones_own_comes_first() -> None:
    text = page(count_graph(nn.Linear(4, 3), torch.randn(2, 4)).under({"macs": 1, "add": 3}))
    assert re.findall(r"<option[^>]*>(.*?)</option>", text)[0] == "custom: macs + 3 add"
    assert f"{Cost(macs=24, add=6).under({'macs': 1, 'add': 3})} in all" in text


def test_what_is_not_counted_is_named() -> None:
    from tests.test_count import unknown

    assert "Not counted: fxcount_test.unknown (1 calls)." in page(count_graph(unknown(), torch.randn(4)))
