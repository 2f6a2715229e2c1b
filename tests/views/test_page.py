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
import torchvision
from torch import nn

from fxcount import CONVENTIONS, Cost, GraphCost, count_graph
from fxcount.views.page import page
from fxcount.views.roofline_table import time_text
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
const visible = selector => [...document.querySelectorAll(selector)].filter(element => element.getClientRects().length);
const rows = table => visible(`#${table} tbody tr`).map(
  row => [...row.cells].filter(cell => cell.getClientRects().length).map(cell => cell.textContent));
const headings = table => visible(`#${table} th`).map(cell => cell.textContent);
const column = (table, name) => rows(table).map(row => row[headings(table).indexOf(name)]);
const click = (table, heading) =>
  visible(`#${table} th button`).find(button => button.textContent === heading).click();
const row_of = (table, name) => visible(`#${table} tbody tr`).find(row => row.cells[0].textContent === name);
const fold = name => row_of("modules", name).querySelector(".fold").click();
const boxes = () => visible(".box").map(box => box.getAttribute("aria-label"));
const box = name => visible(".box").find(box => box.getAttribute("aria-label").startsWith(name));
const press = element => element.dispatchEvent(new MouseEvent("click", {bubbles: true}));
const key = name => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true}));
const choose_in = (id, value) => {
  document.getElementById(id).value = value;
  document.getElementById(id).dispatchEvent(new Event("change"));
};
const search = text => {
  document.getElementById("search").value = text;
  document.getElementById("search").dispatchEvent(new Event("input"));
};
const explained = () => visible("#explained").map(panel => panel.innerText).join("");
(async () => {
  const answer = await (async () => { %s })();
  document.getElementById("report").textContent = JSON.stringify({
    answer, refused, errors, loaded: performance.getEntriesByType("resource").map(entry => entry.name),
  });
})();
</script>"""


def in_browser(
    cost: GraphCost,
    script: str,
    directory: Path,
    *options: str,
    other: GraphCost | None = None,
    device: str | None = None,
) -> dict[str, Any]:
    """What ``script`` returns when it runs in the page, what the page loaded, was refused, and its errors."""
    path = directory / "page.html"
    cost.to_html(path, other, device)
    start, _, rest = path.read_text(encoding="utf-8").partition("<title>")
    body, _, end = rest.rpartition("</body>")
    path.write_text(f"{start}{BEFORE}<title>{body}{AFTER % script}</body>{end}", encoding="utf-8")
    command = [
        str(BROWSER),
        *OPTIONS,
        *options,
        f"--user-data-dir={directory / 'profile'}",
        "--dump-dom",
        path.as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    (report,) = re.findall(r'<pre id="report">(.*?)</pre>', dom, re.DOTALL)
    found: dict[str, Any] = json.loads(html.unescape(report))
    return found


def answer(cost: GraphCost, script: str, directory: Path, *options: str, **shown: Any) -> Any:
    """What ``script`` returns; the page must run without errors and ask for nothing."""
    found = in_browser(cost, script, directory, *options, **shown)
    assert (found["errors"], found["refused"], found["loaded"]) == ([], [], [])
    return found["answer"]


def residual(convention: str = "multiplications") -> GraphCost:
    return count_graph(Residual(), torch.randn(3, 4), convention=convention)


@needs_browser
def test_tables(tmp_path: Path) -> None:
    script = 'return [headings("modules"), rows("modules"), rows("operators")]'
    headings, modules, operators = answer(residual(), script, tmp_path)
    assert headings == ["module", "class", "share of FLOPs", "calls", "FLOPs", "MACs", "bytes", "parameters"]
    assert [row[:6] + row[7:] for row in modules] == [
        ["(model)", "Residual", "100.0%", "1", "288", "288", "96"],
        ["layer", "Linear", "33.3%", "2", "96", "96", "20"],
        ["block", "Sequential", "66.7%", "1", "192", "192", "76"],
        ["0", "Linear", "33.3%", "1", "96", "96", "40"],
        ["1", "ReLU", "0.0%", "1", "0", "0", "0"],
        ["2", "Linear", "33.3%", "1", "96", "96", "36"],
        ["(own)", "", "0.0%", "", "0", "0", "0"],
    ]
    assert modules[4][6] == str(2 * 4 * 3 * 8)  # a ReLU reads and writes 3 x 8 numbers
    assert [row[:5] for row in operators] == [
        ["aten.linear", "100.0%", "4", "288", "288"],
        ["aten.relu", "0.0%", "1", "0", "0"],
        ["aten.add", "0.0%", "1", "0", "0"],
    ]


@needs_browser
def test_sorting_keeps_the_tree(tmp_path: Path) -> None:
    script = """
      const orders = [];
      for (const heading of ["FLOPs", "FLOPs", "module", "class"]) {
        click("modules", heading);
        orders.push(column("modules", "module"));
      }
      click("operators", "calls");
      click("operators", "calls");
      orders.push(column("operators", "operator"));
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
    script = 'click("modules", "MACs"); return column("modules", "MACs")'
    assert answer(count_graph(model, torch.randn(1, 9)), script, tmp_path) == ["21,009", "20,000", "1,000", "9"]


@needs_browser
def test_folding(tmp_path: Path) -> None:
    script = """
      fold("block");
      const folded = column("modules", "module");
      click("modules", "module");
      const sorted = column("modules", "module");
      fold("block");
      return [folded, sorted, column("modules", "module")];
    """
    folded, sorted_, unfolded = answer(residual(), script, tmp_path)
    assert folded == ["(model)", "layer", "block", "(own)"]
    assert sorted_ == ["(model)", "(own)", "block", "layer"]
    assert unfolded == ["(model)", "(own)", "block", "0", "1", "2", "layer"]


@needs_browser
def test_long_trees_start_folded_and_equal_modules_are_one_row(tmp_path: Path) -> None:
    long = nn.Sequential(*(nn.Linear(4 + k, 5 + k) for k in range(70)))
    equal = nn.Sequential(*(nn.Linear(74, 74, bias=False) for _ in range(3)))
    script = 'const start = column("modules", "module"); fold("1"); return [start, rows("modules").at(-1)]'
    start, last = answer(count_graph(nn.Sequential(long, equal), torch.randn(1, 4)), script, tmp_path)
    assert start == ["(model)", "0", "1"]
    assert last[0].split() == ["0-2", "x3"]
    assert [last[1], *last[3:5]] == ["Linear", "3", f"{3 * 74 * 74:,}"]


@needs_browser
@pytest.mark.parametrize("first", ["multiplications", "torch"])
def test_the_convention_switch(first: str, tmp_path: Path) -> None:
    script = """
      const seen = {};
      for (const name of [...document.getElementById("convention").options].map(option => option.value)) {
        choose_in("convention", name);
        seen[name] = [column("operators", "FLOPs"), visible("p").map(p => p.textContent), boxes()];
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
        assert f"{linear + add} FLOPs" in paragraphs
        assert f"block, Sequential, {share}" in boxes


@needs_browser
def test_a_click_on_a_box_or_a_row_explains_it(tmp_path: Path) -> None:
    script = """
      const before = explained();
      press(box("block"));
      const looked_into = boxes(), of_block = explained();
      press(box("2, Linear"));
      const of_box = explained();
      press(visible(".around button")[0]);
      const back = boxes();
      row_of("modules", "layer").querySelector("button:last-child").click();
      const of_row = explained();
      press(visible("#explained button")[0]);
      row_of("operators", "aten.add").querySelector("button:last-child").click();
      return [before, looked_into, of_block, of_box, back, of_row, explained()];
    """
    before, looked_into, of_block, of_box, back, of_row, of_operator = answer(residual(), script, tmp_path)
    assert before == ""
    assert looked_into == ["block, Sequential, 66.7%", "0, Linear, 33.3%", "2, Linear, 33.3%"]
    assert "Sequential" in of_block
    assert "macs = outputs * contracted = 12 * 8 = 96 multiply-accumulates" in of_box
    assert "add = biases = 12 additions" in of_box
    assert "weight [4, 8] = 32" in of_box
    assert "block.2" in of_box
    assert "[3, 8]" in of_box
    assert back[0] == "(model), Residual, 100.0%"
    assert "aten.linear, 2 equal calls, each" in of_row
    assert "add = outputs = 12 additions" in of_operator


@needs_browser
def test_boxes_are_as_wide_as_what_they_cost(tmp_path: Path) -> None:
    script = """
      const wide = name => Number(box(name).querySelector("rect").getAttribute("width"));
      const flops = ["(model)", "layer", "block", "0"].map(wide);
      choose_in("measure", "params");
      return [flops, ["(model)", "layer", "block", "0"].map(wide)];
    """
    flops, params = answer(residual(), script, tmp_path)
    assert [round(each / flops[0], 6) for each in flops] == [
        1,
        round(96 / 288, 6),
        round(192 / 288, 6),
        round(96 / 288, 6),
    ]
    assert [round(each / params[0], 6) for each in params] == [
        1,
        round(20 / 96, 6),
        round(76 / 96, 6),
        round(40 / 96, 6),
    ]


@needs_browser
def test_a_search_keeps_what_it_finds_and_what_lies_around(tmp_path: Path) -> None:
    script = """
      fold("block");
      search("relu");
      const found = [column("modules", "module"), column("operators", "operator")];
      search("");
      return [...found, column("modules", "module")];
    """
    modules, operators, all_of_them = answer(residual(), script, tmp_path)
    assert modules == ["(model)", "block", "1"]
    assert operators == ["aten.relu"]
    assert all_of_them == ["(model)", "layer", "block", "(own)"]


@needs_browser
def test_the_picture_is_walked_through_with_keys(tmp_path: Path) -> None:
    script = """
      const seen = [], here = () => document.activeElement.getAttribute("aria-label");
      box("(model)").focus();
      for (const name of ["ArrowDown", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft"]) {
        key(name);
        seen.push(here().split(",")[0]);
      }
      key("Enter");
      return [seen, explained().includes("aten.linear")];
    """
    assert answer(residual(), script, tmp_path) == [["layer", "block", "0", "block", "layer"], True]


@needs_browser
def test_measures_of_the_backward_pass_and_of_time(tmp_path: Path) -> None:
    cost = count_graph(Residual(), torch.randn(3, 4), backward=True)
    script = 'choose_in("measure", "seconds"); return [headings("modules"), rows("modules")[0]]'
    headings, whole = answer(cost, script, tmp_path, device="L4")
    row = dict(zip(headings, whole, strict=True))
    assert row["backward FLOPs"] == f"{cost.backward_flops:,}"
    assert row["share of time at best"] == "100.0%"
    script = """
      row_of("operators", "aten.convolution_backward")?.querySelector("button:last-child").click();
      row_of("operators", "aten.mm").querySelector("button:last-child").click();
      choose_in("measure", "seconds");
      return [explained(), visible(".sum").map(sum => sum.textContent)];
    """
    of_gradient, (total,) = answer(cost, script, tmp_path, device="L4")
    assert "In the backward pass" in of_gradient
    assert "macs = outputs * contracted" in of_gradient
    assert total.endswith("time at best on L4 (forward, backward)")
    assert row["time at best"] == time_text(cost.roofline("L4").seconds)


@needs_browser
def test_two_counts_side_by_side(tmp_path: Path) -> None:
    """One more layer of 4 x 4 weights on 3 rows is 48 macs."""
    layers = [nn.Linear(4, 4, bias=False) for _ in range(3)]
    one, other = (count_graph(nn.Sequential(*layers[:many]), torch.randn(3, 4)) for many in (2, 3))
    script = """
      const wide = visible(".box rect").map(box => Number(box.getAttribute("width")));
      return [headings("compared"), rows("compared"), wide[0] / Math.max(...wide), explained(),
        (row_of("compared", "2").querySelector("button:last-child").click(), explained())];
    """
    headings, compared, narrower, before, of_layer = answer(one, script, tmp_path, other=other)
    assert headings == ["module", "class", "FLOPs", "FLOPs of other", "change", "relative"]
    assert compared[0] == ["(model)", "Sequential", "96", "144", "+48", "+50.0%"]
    assert compared[-1] == ["2", "Linear", "-", "48", "+48", "only in other"]
    assert round(narrower, 3) == round(96 / 144, 3)
    assert before == ""
    assert "12 * 4 = 48 multiply-accumulates" in of_layer
    assert "Other: Sequential: " in of_layer
    script = """
      const title = visible("h2").map(each => each.textContent), scale = () => visible("#scale").length;
      const before = scale();
      row_of("compared", "(model)").querySelector("button:last-child").click();
      const both = explained();
      press(visible(".box").at(-1));
      press(visible(".box")[0]);
      return [title, before, both];
    """
    titles, scale, both = answer(one, script, tmp_path, other=other)
    assert titles[:2] == ["This: Sequential", "Other: Sequential"]
    assert scale == 1
    assert "This: Sequential: (model)" in both
    assert "Other: Sequential: (model)" in both


@needs_browser
def test_changes_are_exact_and_in_words_where_sizes_are_symbols(tmp_path: Path) -> None:
    many = [torch.empty(1).expand(2**20, 2**20 - k) for k in (0, 1)]
    one, other = (count_graph(lambda x, w=w: x @ w, torch.empty(1).expand(2**20, 2**20)) for w in many)
    script = 'choose_in("measure", "macs"); return rows("compared")[0]'
    assert answer(one, script, tmp_path, other=other)[-2] == f"-{2**40:,}"
    x = torch.ones(2, 3)
    one = count_graph(nn.Linear(3, 4), x, dynamic_shapes={"input": {0: "batch"}})
    other = count_graph(nn.Linear(3, 8), x, dynamic_shapes={"input": {0: "n"}})
    assert answer(one, script, tmp_path, other=other)[-2] == "12*batch to 24*n"


@needs_browser
def test_what_is_used_keeps_the_focus(tmp_path: Path) -> None:
    script = """
      const seen = [], use = element => {
        element.focus();
        element.click();
        seen.push(document.activeElement.textContent || document.activeElement.className);
      };
      use(row_of("modules", "block").querySelector(".fold"));
      use(visible("#modules th button")[0]);
      use(row_of("modules", "layer").querySelector("button:last-child"));
      box("block").focus();
      key("Enter");
      seen.push(document.activeElement.getAttribute("aria-label"));
      return seen;
    """
    assert answer(residual(), script, tmp_path) == ["fold", "module", "layer", "block, Sequential, 66.7%"]


@needs_browser
def test_a_search_that_finds_nothing_says_so(tmp_path: Path) -> None:
    script = 'search("nobody"); return visible("#tables p").map(each => each.textContent)'
    assert answer(residual(), script, tmp_path).count("Nothing here has that in its name.") == 2


class Joined(nn.Module):
    """Two layers whose results are put side by side, which computes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.one(x), self.other(x)], 1)


@needs_browser
def test_bytes_of_what_a_module_moves_itself_have_a_row(tmp_path: Path) -> None:
    cost = count_graph(Joined(), torch.ones(2, 4))
    script = 'return [column("modules", "module"), column("modules", "bytes")]'
    names, sizes = answer(cost, script, tmp_path)
    assert names == ["(model)", "one", "other", "(own)"]
    assert int(sizes[-1]) == 2 * 2 * 8 * 4  # it reads and writes 2 x 8 numbers
    assert sum(map(int, sizes[1:])) == int(sizes[0])
    assert "(own)" in cost.table("module", columns=["name", "read", "written"])
    assert "(own)" not in cost.table("module")


@needs_browser
def test_a_narrow_page_does_not_scroll_and_keeps_what_matters(tmp_path: Path) -> None:
    path = tmp_path / "frame.html"
    residual().to_html(tmp_path / "whole.html")
    inner = (tmp_path / "whole.html").read_text(encoding="utf-8")
    script = """<script>addEventListener("load", () => {
      const page = document.querySelector("iframe").contentDocument;
      const seen = [...page.querySelectorAll("#modules th")].filter(cell => cell.getClientRects().length);
      document.getElementById("report").textContent = JSON.stringify(
        [seen.map(cell => cell.textContent), page.documentElement.scrollWidth]);
    });</script>"""
    frame = f'<iframe width="390" height="800" srcdoc="{html.escape(inner)}"></iframe><pre id="report"></pre>'
    path.write_text(f'<!doctype html><meta charset="utf-8">{script}{frame}', encoding="utf-8")
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    (report,) = re.findall(r'<pre id="report">(.*?)</pre>', dom, re.DOTALL)
    headings, wide = json.loads(html.unescape(report))
    assert headings == ["module", "share of FLOPs", "FLOPs"]
    assert wide <= 390


@needs_browser
def test_a_dark_page_has_light_text(tmp_path: Path) -> None:
    script = "const style = getComputedStyle(document.body); return [style.color, style.backgroundColor]"
    light = answer(residual(), script, tmp_path, "--blink-settings=preferredColorScheme=1")
    dark = answer(residual(), script, tmp_path, "--blink-settings=preferredColorScheme=0")
    assert [contrast(*light) > 10, contrast(*dark) > 10] == [True, True]
    assert luminance(light[1]) > 0.9 > 0.1 > luminance(dark[1])


def luminance(colour: str) -> float:
    """The relative luminance of ``rgb(...)``, as the Web Content Accessibility Guidelines define it."""
    parts = [int(each) / 255 for each in re.findall(r"\d+", colour)[:3]]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21."""
    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


@needs_browser
def test_the_text_of_every_box_can_be_read(tmp_path: Path) -> None:
    script = """
      const probe = document.createElement("i");
      document.body.append(probe);
      return [..."0123456789"].map(k => `k${k}`).concat("none").map(name => {
        probe.style.color = "var(--ink)"; probe.style.background = `var(--${name})`;
        const style = getComputedStyle(probe);
        return [style.color, style.backgroundColor];
      });
    """
    for scheme in ("0", "1"):
        pairs = answer(residual(), script, tmp_path, f"--blink-settings=preferredColorScheme={scheme}")
        assert min(contrast(*pair) for pair in pairs) >= 4.5


@needs_browser
def test_large_models_are_small_pages_that_are_soon_there(tmp_path: Path) -> None:
    with torch.device("meta"):
        resnet = torchvision.models.resnet50()
        blocks = [nn.Sequential(nn.Linear(4 + k, 5 + k), nn.LayerNorm(5 + k), nn.ReLU()) for k in range(3000)]
    x = torch.empty(1, 3, 224, 224, device="meta")
    assert len(page(count_graph(resnet, x, backward=True))) < 200_000
    long = count_graph(nn.Sequential(*blocks), torch.empty(1, 4, device="meta"))
    script = """
      const start = performance.now();
      search("linear");
      click("modules", "FLOPs");
      press(box("(model)"));
      return [start, performance.now() - start, rows("modules").length];
    """
    loaded, used, shown = answer(long, script, tmp_path)
    assert (tmp_path / "page.html").stat().st_size < 3_000_000
    assert loaded < 2000
    assert used < 2000
    assert 100 < shown < 1000


@needs_browser
def test_a_request_would_be_refused_and_seen(tmp_path: Path) -> None:
    """What shows that no request is made would show one."""
    script = 'await fetch("https://example.com/").catch(() => 0); await new Promise(done => setTimeout(done, 500))'
    found = in_browser(residual(), script, tmp_path)
    assert found["refused"] == ["https://example.com/"]


def test_names_are_text_and_not_markup() -> None:
    odd = type("</script><b>", (nn.ReLU,), {"__module__": "torch.nn.odd"})
    text = page(count_graph(nn.Sequential(odd()), torch.randn(2)))
    assert "</script><b>" not in text
    assert "\\u003c/script>\\u003cb>" in text


def test_a_convention_of_ones_own_comes_first() -> None:
    text = page(count_graph(nn.Linear(4, 3), torch.randn(2, 4)).under({"macs": 1, "add": 3}))
    assert '"conventions":[{"name":"custom","meaning":"macs + 3 add"}' in text
    assert f"{Cost(macs=24, add=6).under({'macs': 1, 'add': 3})} in all" in text


def test_numbers_that_no_browser_holds_exactly() -> None:
    """A browser's numbers are exact to 2^53: larger ones are texts."""
    weight = torch.empty(1).expand(2**20 - 1, 2**20 - 1)
    text = page(count_graph(lambda x: nn.functional.linear(x, weight), torch.empty(1).expand(2**20 - 1, 2**20 - 1)))
    assert f'"{(2**20 - 1) ** 3}"' in text


def test_what_is_not_counted_is_named() -> None:
    from tests.test_count import unknown

    assert "Not counted: fxcount_test.unknown (1 calls)." in page(count_graph(unknown(), torch.randn(4)))
