"""The command line: what is shown, where to, and with which exit status."""

import csv
import importlib.metadata
import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import transformers
from torch import nn

from fxcount import GraphCost, count_generation, count_graph, count_step
from fxcount.cli.help import HELP
from fxcount.cli.main import main
from fxcount.cli.options import VIEWS
from tests.test_count import unknown
from tests.views.tower import body

EXAMPLES = [line.strip() for line in HELP.partition("examples:\n")[2].splitlines()]


def printed(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What a command that succeeds prints on standard output; nothing goes to standard error."""
    status = main(arguments)
    out, err = capfd.readouterr()
    assert (status, err) == (0, "")
    return out


def test_the_worked_example(capfd: pytest.CaptureFixture[str]) -> None:
    out = printed(capfd)
    assert out.startswith("The worked example")
    assert "1,344  327,680  344,064   100.0%" in out


def test_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "fxcount"], capture_output=True, text=True, check=True)
    assert "344,064" in done.stdout


def test_a_named_model(capfd: pytest.CaptureFixture[str]) -> None:
    out = printed(capfd, "torchvision.models:resnet50", "--input", "1,3,224,224")
    assert "25,557,032" in out  # torchvision's num_params
    assert "Not counted" not in out


def test_a_saved_program_has_the_modules_of_its_model(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "program.pt2"
    model = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), nn.Linear(3, 5)))
    torch.export.save(torch.export.export(model, (torch.ones(2, 4),)), file)
    out = printed(capfd, str(file), "--format", "json")
    rows = {row["name"]: (row["kind"], row["calls"], row["macs"]) for row in json.loads(out)["modules"]}
    inner = {"1": ("Sequential", 1, 30), "1.0": ("ReLU", 1, 0), "1.1": ("Linear", 1, 30)}
    assert rows == {"": ("Sequential", 1, 54), "0": ("Linear", 1, 24), **inner}


def test_help_and_version_answer_without_torch() -> None:
    for argument, first in (("--help", "usage: fxcount"), ("-h", "usage: fxcount"), ("--version", "fxcount 0.")):
        program = f"import sys; from fxcount.cli.main import main; main([{argument!r}]); print('torch' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.startswith(first)
        assert done.stdout.endswith("False\n")


def test_the_version_is_that_of_the_distribution(capfd: pytest.CaptureFixture[str]) -> None:
    assert printed(capfd, "--version") == f"fxcount {importlib.metadata.version('fxcount')}\n"


@pytest.mark.parametrize("program", ["import torch", "from fxcount.cli.main import main; main([])"])
def test_what_torch_says_of_a_missing_numpy_is_not_shown(program: str) -> None:
    run = [sys.executable, "-c", f"import sys; sys.modules['numpy'] = None; {program}"]
    done = subprocess.run(run, capture_output=True, text=True, check=True)
    assert ("Failed to initialize NumPy" in done.stderr) == (program == "import torch")


def test_help_fits_on_a_screen(capfd: pytest.CaptureFixture[str]) -> None:
    lines = printed(capfd, "--help").splitlines()
    assert len(lines) < 24
    assert max(map(len, lines)) < 80
    assert printed(capfd, "-h") == HELP


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_help(example: str, capfd: pytest.CaptureFixture[str]) -> None:
    program, *arguments = shlex.split(example)
    assert program == "fxcount"
    assert bool(printed(capfd, *arguments)) == ("--quiet" not in arguments)


LINEAR = ("torch.nn:Linear(4, 3)", "--input", "2,4")
"""24 macs and 6 biases, 15 parameters."""


@pytest.mark.parametrize(("by", "first"), [("node", "name"), ("module", "module"), ("operator", "operator")])
def test_by(by: str, first: str, capfd: pytest.CaptureFixture[str]) -> None:
    out = printed(capfd, *LINEAR, "--by", by)
    assert body(out).split()[0] == first
    assert "FLOPs here are multiplications (macs + mul): 24 in all." in out


def test_an_input_that_was_chosen_is_said(capfd: pytest.CaptureFixture[str]) -> None:
    out = printed(capfd, "torchvision/alexnet", "--depth", "0")
    assert out.startswith("AlexNet, eval mode. Input: x [1, 3, 224, 224] float32 (by default). Tracer: symbolic; ")
    assert "(by default)" not in printed(capfd, "torchvision/alexnet", "--depth", "0", "--input", "1,3,224,224")
    assert "float32 (by default)" in printed(capfd, "torchvision/alexnet", "--memory", "--device", "L4")


def test_depth_and_top(capfd: pytest.CaptureFixture[str]) -> None:
    names = [
        line.split()[0] for line in body(printed(capfd, "torchvision/resnet18", "--depth", "1")).splitlines()[2:12]
    ]
    assert names == ["(model)", "conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool"]
    largest = body(printed(capfd, "torchvision/resnet18", "--top", "1")).splitlines()[2]
    assert largest.split()[0] == "conv1"  # 112 * 112 * 64 outputs of 3 * 7 * 7 taps
    assert "118,013,952" in largest


@pytest.mark.parametrize(
    ("convention", "flops"),
    [("macs", 24), ("torch", 48), ("arithmetic", 54), ("macs=1,add=10", 84), ("multiplications", 24)],
)
def test_convention(convention: str, flops: int, capfd: pytest.CaptureFixture[str]) -> None:
    assert f": {flops} in all." in printed(capfd, *LINEAR, "--convention", convention)


def test_formats(capfd: pytest.CaptureFixture[str]) -> None:
    assert body(printed(capfd, *LINEAR, "--format", "github")).startswith("| name")
    assert printed(capfd, *LINEAR, "--format", "table") == printed(capfd, *LINEAR)
    assert GraphCost.from_json(printed(capfd, *LINEAR, "--format", "json")).macs == 24
    (row,) = csv.DictReader(io.StringIO(printed(capfd, *LINEAR, "--format", "csv", "--by", "operator")))
    assert (row["name"], row["macs"], row["add"]) == ("aten.linear", "24", "6")
    assert printed(capfd, *LINEAR, "--format", "html").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("name", "start"),
    [("a.md", "| name"), ("a.csv", "name,"), ("a.json", "{"), ("a.html", "<!doctype html>"), ("a.txt", "name  ")],
)
def test_output(name: str, start: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert printed(capfd, *LINEAR, "--output", str(tmp_path / name)) == ""
    text = (tmp_path / name).read_text()
    assert (text if name == "a.html" else body(text)).startswith(start)
    assert text.endswith("\n")


def test_a_format_overrules_an_ending(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    printed(capfd, *LINEAR, "--output", str(tmp_path / "a.txt"), "--format", "json")
    assert json.loads((tmp_path / "a.txt").read_text())["total"]["macs"] == 24


def test_explain(capfd: pytest.CaptureFixture[str]) -> None:
    cost = count_graph(nn.Linear(4, 3).eval(), torch.empty(2, 4))
    assert printed(capfd, *LINEAR, "--explain", "linear") == cost.explain("linear") + "\n"


def test_compare(capfd: pytest.CaptureFixture[str]) -> None:
    small, large = (count_graph(nn.Linear(4, size).eval(), torch.empty(2, 4)) for size in (3, 5))
    out = printed(capfd, *LINEAR, "--compare", "torch.nn:Linear(4, 5)")
    assert out == small.compare(large) + "\n"
    assert out != printed(capfd, *LINEAR, "--compare", "torch.nn:Linear(4, 5)", "--format", "github")


def test_compare_with_a_saved_count_and_hold_both_to_a_budget(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    saved = str(tmp_path / "larger.json")
    printed(capfd, "torch.nn:Linear(4, 5)", "--input", "2,4", "--output", saved)
    assert printed(capfd, *LINEAR, "--compare", saved) == printed(capfd, *LINEAR, "--compare", "torch.nn:Linear(4, 5)")
    assert main([*LINEAR, "--quiet", "--compare", saved, "--max-flops", "40"]) == 0
    assert main([*LINEAR, "--quiet", "--compare", saved, "--max-flops", "39"]) == 1
    assert "40 FLOPs (multiplications: macs + mul) exceed the budget of 39 by 1" in capfd.readouterr().err


def test_inputs_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    attention = (
        "torch.nn:MultiheadAttention(8, 2)",
        *shlex.split("--input query=5,8 --input key=7,8 --input value=7,8"),
    )
    # the projections of queries and outputs, 5 * 8 * 8 each, of keys and values, 7 * 8 * 8 each; 5 * 7 scores of 8 + 8
    assert f"{2 * 5 * 64 + 2 * 7 * 64 + 5 * 7 * 16:,} macs (macs)" in printed(capfd, *attention)


def test_strict(capfd: pytest.CaptureFixture[str]) -> None:
    assert printed(capfd, *LINEAR, "--strict") == printed(capfd, *LINEAR)


def test_backward(capfd: pytest.CaptureFixture[str]) -> None:
    layer, x = nn.Linear(4, 3).eval(), torch.empty(2, 4)
    assert printed(capfd, *LINEAR, "--backward") == f"{count_graph(layer, x, backward=True)}\n"
    trained = count_graph(layer, x, optimizer=torch.optim.AdamW)
    assert printed(capfd, *LINEAR, "--optimizer", "adamw") == f"{trained}\n"


def test_quiet(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert printed(capfd, *LINEAR, "--quiet") == ""
    assert printed(capfd, *LINEAR, "--quiet", "--output", str(tmp_path / "a.md")) == ""
    assert (tmp_path / "a.md").exists()


def test_budgets_that_are_kept(capfd: pytest.CaptureFixture[str]) -> None:
    assert printed(capfd, *LINEAR, "--max-flops", "24", "--max-params", "15") == printed(capfd, *LINEAR)


@pytest.mark.parametrize(
    ("budget", "line"),
    [
        ("--max-flops 20", "24 FLOPs (multiplications: macs + mul) exceed the budget of 20 by 4 (20.0%)"),
        ("--max-params 10", "15 parameters exceed the budget of 10 by 5 (50.0%)"),
        (
            "--max-flops 0.04k --max-params 10 --convention torch",
            "48 FLOPs (torch: 2 macs) exceed the budget of 40 by 8 (20.0%); "
            "15 parameters exceed the budget of 10 by 5 (50.0%)",
        ),
    ],
)
def test_budgets_that_are_exceeded(budget: str, line: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*LINEAR, "--quiet", *budget.split()]) == 1
    assert capfd.readouterr() == ("", f"fxcount: {line}\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("resnet50", "names no model"),
        ("no.such.module:model", "cannot import no.such.module"),
        ("torch:get_num_threads", "returned int"),
        ("torchvision.models:alexnet", r"describe what torchvision\.models:alexnet takes \(x\)"),
        ("torch.nn:Identity --input 1;x", "a shape such as"),
        ("torch.nn:Identity --input 1:float33", "not a dtype"),
        ("torch.nn:Identity --input", "expected one argument"),
        ("torch.nn:Identity --nonsense", "unrecognized arguments: --nonsense; fxcount --help"),
        ("--by layer", "invalid choice: 'layer'"),
        ("--format pdf", "invalid choice: 'pdf'"),
        ("--depth two", "invalid int value: 'two'"),
        ("--depth -1", "--depth must not be negative"),
        ("--by node --depth 1", "--depth is for --by module"),
        ("--max-flops many", "a budget is a number such as 5G"),
        ("--convention flops", "unknown convention 'flops'; the known ones are multiplications"),
        ("--convention macs=two", "the weight of 'macs' must be an int"),
        ("--explain _0 --top 3", "--top does not go with --explain"),
        ("--explain _0 --format json", "--format does not go with --explain"),
        ("--explain _0 --compare torch.nn:ReLU", "--compare does not go with --explain"),
        ("--format json --by node", "--by does not go with json"),
        ("--output page.html --top 3", "--top does not go with html"),
        ("--compare torch.nn:ReLU --format csv", "a comparison is shown as table, github or html, not as csv"),
        ("--explain _7", "no node or module is called '_7'"),
        ("--output /no/such/directory/file", "No such file or directory"),
        ("hf/no/such/file", "no/such/file does not exist, and no configuration of that name is in the cache"),
        ("hf/nobody/nothing", "get it by: hf download nobody/nothing config.json"),
        ("--dtype int8", "--dtype is one of torch for numbers with a point, such as bfloat16, not 'int8'"),
        ("--memory --device L4 --by node", "--by does not go with --memory and --device together"),
        ("--memory --device L4 --max-flops 3", "--max-flops does not go with --memory and --device together"),
        ("--memory --device L4 --format csv", "a step is shown as table, github or json, not as csv"),
        ("--memory --device L4 --strict", "--strict does not go with --memory and --device together"),
        ("--memory --device L4 --explain _0", "--explain does not go with --memory and --device together"),
        ("--memory --device L4 --seconds inf", "--seconds is what a step took, a positive number"),
        ("--memory --device L4 --seconds 0", "--seconds is what a step took, a positive number"),
        ("--device L4 --seconds 3", "--seconds is what a step took, a positive number, beside --memory and --device"),
        ("torch.nn:ReLU --prompt 3", "by both --prompt N and --generate N"),
        ("torch.nn:ReLU --batch 3", "by both --prompt N and --generate N"),
        ("torch.nn:ReLU --prompt 3 --generate 0", "--generate must be positive, not 0"),
        ("--prompt 3 --generate 4", "--generate needs the MODEL that generates"),
        ("torch.nn:ReLU --prompt 3 --generate 4 --memory", "--memory does not go with --generate"),
        ("torch.nn:ReLU --prompt 3 --generate 4 --max-flops 1", "--max-flops does not go with --generate"),
        ("torch.nn:ReLU --prompt 3 --generate 4 --by node", "--by does not go with --generate"),
        ("torch.nn:ReLU --prompt 3 --generate 4 --format csv", "a generation is shown as table, github or json"),
        ("torch.nn:ReLU --prompt 3 --generate 4", "a language model takes input_ids, and ReLU does not"),
    ],
)
def test_bad_usage_is_one_line(arguments: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(arguments)) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(rf"fxcount: [^\n]*{message}[^\n]*\n", err)


BROKEN = """
import torch

class Broken(torch.nn.Module):
    def forward(self, x):
        raise ValueError("not today")

def unbuildable():
    raise ValueError("not at all")

class Unknown(torch.nn.Module):
    def forward(self, x):
        return torch.ops.fxcount_test.unknown(x)
"""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("torchvision.models:alexnet --input 1,4,224,224", r"at call_module features\.0 on x \[1, 4, 224"),
        ("broken_model.py:Broken --input 2", r"ValueError: not today\n.*broken_model\.py:6 in forward"),
        (
            "broken_model.py:unbuildable",
            r"ValueError: not at all\n  while building .*broken_model\.py:9 in unbuildable",
        ),
        ("broken_model.py:Unknown --input 2 --strict", r"not counted: fxcount_test\.unknown \(1 calls\)"),
        ("broken_syntax.py:Net", r"SyntaxError: .*broken_syntax\.py, line 1"),
        ("torch.nn:Linear", "missing 2 required positional arguments"),
    ],
)
def test_a_model_that_fails(
    arguments: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    unknown()
    (tmp_path / "broken_model.py").write_text(BROKEN)
    (tmp_path / "broken_syntax.py").write_text("class Net(\n")
    monkeypatch.chdir(tmp_path)
    assert main(arguments.split()) == 3
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("fxcount: ")
    assert re.search(message, err)
    assert "Traceback" not in err


def test_a_reader_that_has_seen_enough() -> None:
    command = f"{shlex.quote(sys.executable)} -m fxcount timm/resnet18 --format csv | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("name,op,target")
    assert done.stderr == ""


def test_every_view_is_in_the_help() -> None:
    assert all(view in HELP for view in VIEWS)


def test_memory(capfd: pytest.CaptureFixture[str]) -> None:
    out = printed(capfd, "torch.nn:Linear(4, 3)", "--input", "2,4", "--memory")
    # 12 weights, 3 biases, 8 inputs and 6 outputs of 4 bytes.
    assert "the peak is 116 bytes" in out
    assert "at the peak" in out
    assert "aten.addmm" in printed(capfd, "torch.nn:Linear(4, 3)", "--input", "2,4", "--memory", "--by", "operator")
    data = json.loads(printed(capfd, "--memory", "--optimizer", "adamw", "--format", "json"))
    assert data["optimizer"] == "AdamW"
    assert printed(capfd, "--memory", "--backward", "--format", "csv").startswith("name,kind,parameters,peak")


def test_a_budget_of_memory(capfd: pytest.CaptureFixture[str]) -> None:
    layer = ("torch.nn:Linear(4, 3)", "--input", "2,4", "--quiet", "--max-memory")
    assert main([*layer, "116"]) == 0
    assert main([*layer, "0.1KiB"]) == 1
    line = "fxcount: 116 bytes at the peak exceed the budget of 102 by 14 (13.7%): 116 B of 102 B\n"
    assert capfd.readouterr().err == line
    assert main([*layer, "1KB", "--max-flops", "1"]) == 1
    assert main([*layer, "1KB", "--memory", "--max-params", "1"]) == 1
    assert "15 parameters exceed" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--memory --format html", "memory is shown as table, github, csv or json, not as html"),
        ("--memory --by node", "--by is module, kind, tensor, operator here, not node"),
        ("--by tensor", "--by is node, module, operator here, not tensor"),
        ("--max-memory 5G", "a size is a number of bytes such as 24GiB or 500MB, not '5G'"),
        ("--memory --explain 0", "--explain does not go with --memory"),
    ],
)
def test_bad_usage_of_memory(arguments: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split(arguments)) == 2
    assert capfd.readouterr().err == f"fxcount: {message}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'' --max-flops 1G", "MODEL is empty: name a model, or leave it out for the worked example"),
        ("--output x.xlsx", "no format is known by the ending .xlsx: name a file .md, .csv, .json, .html, or --format"),
    ],
)
def test_what_a_variable_that_is_not_set_and_a_slip_lead_to(
    arguments: str, message: str, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(arguments)) == 2
    assert capfd.readouterr().err == f"fxcount: {message}\n"
    assert main(["--output", "x.xlsx", "--format", "csv"]) == 0


def test_sizes_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    text = printed(capfd, "torch.nn:Linear(8, 4)", "--input", "batch,length,8", "--by", "operator")
    assert "32*batch*length" in text
    assert "those at batch=2, length=16" in text
    text = printed(capfd, "torch.nn:Linear(8, 4)", "--input", "batch,length,8", "--at", "batch=3,length=5")
    assert "480" in text
    text = printed(capfd, "torch.nn:Linear(8, 4)", "--input", "batch,length,8", "--at", "length=5")
    assert "160*batch" in text


def test_sizes_of_an_argument_by_name(capfd: pytest.CaptureFixture[str]) -> None:
    text = printed(capfd, "torch.nn:Embedding(9, 4)", "--input", "input=batch,length:int64", "--format", "json")
    assert json.loads(text)["sizes"] == {"batch": 2, "length": 16}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--input", "b,8", "--at", "c=2"), "--at names 'c'; the names in --input are b"),
        (("--input", "2,8", "--at", "c=2"), "the names in --input are none"),
        (("--input", "b,8", "--at", "b"), "--at gives sizes by their names"),
        (("--input", "b,8", "--at", "b=0"), "--at gives sizes by their names"),
        (("--input", "b,8", "--max-flops", "5"), "a budget is for numbers: give --at b=..."),
        (("--input", "b,8", "--memory"), "memory is counted at sizes in numbers: give --at b=..."),
    ],
)
def test_sizes_that_do_not_fit(arguments: tuple[str, ...], message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["torch.nn:Linear(8, 4)", *arguments]) == 2
    assert message in capfd.readouterr().err


def test_budgets_and_memory_at_sizes(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["torch.nn:Linear(8, 4)", "--input", "b,8", "--at", "b=3", "--quiet"]
    assert main([*arguments, "--max-flops", "96"]) == 0
    assert main([*arguments, "--max-flops", "95"]) == 1
    assert main([*arguments, "--memory"]) == 0


def test_a_step_on_a_device(capfd: pytest.CaptureFixture[str]) -> None:
    asked = ["torch.nn:Linear(8, 4)", "--input", "2,8", "--optimizer", "adamw", "--memory", "--device", "L4"]
    layer, given = nn.Linear(8, 4, device="meta").eval(), torch.ones(2, 8, device="meta")
    step = count_step(layer, given, device="L4", optimizer=torch.optim.AdamW, measured=0.5)
    assert json.loads(printed(capfd, *asked, "--seconds", "0.5", "--format", "json")) == step.to_dict()
    assert printed(capfd, *asked, "--seconds", "0.5") == f"{step.table()}\n"
    assert main([*asked, "--max-memory", str(step.peak)]) == 0
    assert main([*asked, "--max-memory", str(step.peak - 1)]) == 1
    assert "bytes at the peak" in capfd.readouterr().err


def test_what_a_generation_costs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    GPT2.save_pretrained(tmp_path)
    name = f"hf/{tmp_path}"
    asked = [name, "--prompt", "5", "--generate", "4", "--batch", "2", "--dtype", "bfloat16", "--device", "L4"]
    out = printed(capfd, *asked, "--format", "json")
    with torch.device("meta"):
        model = transformers.GPT2LMHeadModel(GPT2).eval().to(torch.bfloat16)
    expected = count_generation(model, 5, 4, batch=2, device="L4")
    assert json.loads(out) == expected.to_dict()
    assert printed(capfd, *asked).split("\n")[:6] == expected.table().split("\n")[:6]


GPT2 = transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=97)


def test_inputs_of_another_dtype(capfd: pytest.CaptureFixture[str]) -> None:
    out = printed(
        capfd, "torch.nn:Linear(4, 3)", "--input", "2,4", "--dtype", "float64", "--bytes", "--format", "github"
    )
    assert f"| {8 * (2 * 4 + 3 * 4 + 3)} B |" in " ".join(out.split())


def test_the_time_on_a_device(capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["torch.nn:Linear(8, 4)", "--input", "2,8", "--device", "h100-sxm"]
    assert "On H100 SXM no less than" in printed(capfd, *arguments)
    assert "aten.linear" in printed(capfd, *arguments, "--by", "operator")
    assert json.loads(printed(capfd, *arguments, "--format", "json"))["device"] == "H100 SXM"
    assert main(["torch.nn:Linear(8, 4)", "--input", "2,8", "--device", "h1000"]) == 2
    assert "unknown device 'h1000'; the known ones are H100 SXM" in capfd.readouterr().err
    assert main([*arguments, "--format", "csv"]) == 2
    assert "a time is shown as table, github, json or html, not as csv" in capfd.readouterr().err


def test_a_page_of_two_models_and_their_times(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    first, other = "torch.nn:Linear(4, 3)", "torch.nn:Linear(4, 5)"
    main([first, "--input", "2,4", "--compare", other, "--device", "L4", "--output", str(page)])
    text = page.read_text(encoding="utf-8")
    assert "time at best on L4 (forward)" in text
    assert '"title":"Other: Linear"' in text


def test_bytes_fit_a_screen(capsys: pytest.CaptureFixture[str]) -> None:
    main(["torchvision/resnet50", "--bytes"])
    assert len(capsys.readouterr().out.splitlines()) <= 45


def test_one_rank_of_a_mesh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of 2 layers of width 64 every product is split over two ranks: a half of the macs of one rank alone."""
    config = transformers.LlamaConfig(
        num_hidden_layers=2, hidden_size=64, intermediate_size=128, num_attention_heads=8, vocab_size=96
    )
    config.architectures = ["LlamaForCausalLM"]
    config.save_pretrained(tmp_path)
    found = []
    for mesh in ([], ["--mesh", "dp=4,tp=2"]):
        main([f"hf/{tmp_path}", "--input", "input_ids=1,16:int64", "--backward", "--format", "json", *mesh])
        found.append(json.loads(capsys.readouterr().out))
    whole, one = found
    for name in ("macs", "backward_macs"):
        assert sum(node[name] for node in whole["nodes"]) == 2 * sum(node[name] for node in one["nodes"])
    assert one["call"]["mesh"] == "dp=4, tp=2"
    main([f"hf/{tmp_path}", "--mesh", "tp=2"])
    assert "one rank of tp=2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--mesh", "pp=2"], "--mesh gives numbers of ranks, such as dp=16,tp=8, not 'pp=2': over dp"),
        (["torch.nn:Linear(4, 3)", "--input", "2,4", "--mesh", "tp=2"], "Linear has no plan of how to split it"),
        (["torch.nn:Linear(4, 3)", "--memory", "--mesh", "dp=2"], "--mesh does not go with --memory"),
    ],
)
def test_a_mesh_that_cannot_be(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
