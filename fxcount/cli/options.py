"""What can be asked for on the command line, and how it is asked for."""

import argparse
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import torch

from fxcount.analyses.devices import device_named
from fxcount.cli.budget import parse_count, parse_size
from fxcount.cli.example_inputs import InputShape, example_sizes
from fxcount.cli.split_models import parse_mesh
from fxcount.cost import Convention
from fxcount.engine.optimizer_step import MakeOptimizer
from fxcount.errors import InputError
from fxcount.views.memory_table import TABLES
from fxcount.views.roofline_table import TABLES as TIMES
from fxcount.views.rows import ROWS
from fxcount.views.units import UNITS_OF_COUNTS

FORMATS = ("table", "github", "csv", "json", "html")
ENDINGS = {".md": "github", ".csv": "csv", ".json": "json", ".html": "html"}
"""The formats of files whose ending says so."""

TABLE_ENDINGS = ("", ".txt")
"""Those of files that are tables."""


class Options(argparse.Namespace):
    """What the command line asks for."""

    model: str | None
    input: list[str]
    at: str | None
    by: str | None
    depth: int | None
    top: int | None
    convention: str
    format: str | None
    output: str | None
    explain: str | None
    compare: str | None
    max_flops: str | None
    max_params: str | None
    max_memory: str | None
    memory: bool
    device: str | None
    prompt: int | None
    generate: int | None
    batch: int | None
    dtype: str | None
    mesh: str | None
    seconds: float | None
    units: str
    all: bool
    bytes: bool
    backward: bool
    optimizer: str | None
    strict: bool
    quiet: bool

    inputs: list[InputShape]
    sizes: dict[str, int]
    view: str
    own_dtype: torch.dtype | None
    axes: dict[str, int]
    reading: Convention
    flops_budget: int | None
    params_budget: int | None
    memory_budget: int | None
    make_optimizer: MakeOptimizer | None


def parse(argv: Sequence[str] | None = None) -> Options:
    """The options in ``argv``, the process's own arguments unless given.

    Raises:
        InputError: an option is unknown, lacks a value, has a wrong one, or does not go with another.
        ConventionError: the convention is unknown.
    """
    options = _parser().parse_args(argv, namespace=Options())
    if options.model == "":
        raise InputError("MODEL is empty: name a model, or leave it out for the worked example")
    options.own_dtype = None if options.dtype is None else parse_dtype(options.dtype)
    options.inputs = [InputShape.of(text, options.own_dtype or torch.float32) for text in options.input]
    options.sizes = {} if options.at is None else parse_sizes(options.at)
    example_sizes(options.inputs, options.sizes)
    options.reading = parse_convention(options.convention)
    options.flops_budget = None if options.max_flops is None else parse_count(options.max_flops)
    options.params_budget = None if options.max_params is None else parse_count(options.max_params)
    options.memory_budget = None if options.max_memory is None else parse_size(options.max_memory)
    if options.device is not None:
        device_named(options.device)
    options.make_optimizer = None if options.optimizer is None else parse_optimizer(options.optimizer)
    options.axes = {} if options.mesh is None else parse_mesh(options.mesh)
    options.view = _view(options)
    if options.axes and options.view in ("memory", "step", "generate"):
        raise InputError(f"--mesh does not go with --{options.view}: what one rank computes and sends is counted")
    return options


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="fxcount", add_help=False, allow_abbrev=False)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--input", action="append", default=[])
    parser.add_argument("--at")
    parser.add_argument("--by", choices=tuple(dict.fromkeys((*ROWS, *TABLES, *TIMES))))
    parser.add_argument("--depth", type=int)
    parser.add_argument("--top", type=int)
    parser.add_argument("--convention", default="multiplications")
    parser.add_argument("--format", choices=FORMATS)
    for name in (
        "--output",
        "--explain",
        "--compare",
        "--max-flops",
        "--max-params",
        "--max-memory",
        "--optimizer",
        "--device",
        "--dtype",
        "--mesh",
    ):
        parser.add_argument(name)
    for name in GENERATION:
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--units", choices=UNITS_OF_COUNTS, default="auto")
    for name in ("--strict", "--quiet", "--backward", "--memory", "--bytes", "--all"):
        parser.add_argument(name, action="store_true")
    return parser


class Parser(argparse.ArgumentParser):
    """Raises what argparse would print on several lines."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; fxcount --help shows what there is")


def parse_convention(text: str) -> Convention:
    """A named convention, or weights such as ``macs=2,special=1``.

    Raises:
        ConventionError: a name, field or weight is unknown.
    """
    if "=" not in text:
        return Convention.of(text)
    weights: Mapping[str, str] = dict(part.partition("=")[::2] for part in text.split(","))
    return Convention.of({field: int(weight) if weight.isdecimal() else weight for field, weight in weights.items()})  # type: ignore[misc]


def parse_sizes(text: str) -> dict[str, int]:
    """Sizes by their names, such as ``batch=8,length=2048``.

    Raises:
        InputError: the text is something else.
    """
    pairs = [part.partition("=") for part in text.replace(" ", "").split(",")]
    if not all(name.isidentifier() and size.isdecimal() and int(size) > 0 for name, _, size in pairs):
        raise InputError(f"--at gives sizes by their names, such as batch=8,length=2048, not {text!r}")
    return {name: int(size) for name, _, size in pairs}


def parse_dtype(text: str) -> torch.dtype:
    """A floating-point dtype by its name in torch.

    Raises:
        InputError: there is none.
    """
    found = getattr(torch, text, None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise InputError(f"--dtype is one of torch for numbers with a point, such as bfloat16, not {text!r}")
    return found


def parse_optimizer(text: str) -> MakeOptimizer:
    """The class of ``torch.optim`` of that name, in upper or lower case.

    Raises:
        InputError: there is none; the message lists those there are.
    """
    kinds = [each for each in vars(torch.optim).values() if isinstance(each, type)]
    known = {each.__name__: each for each in kinds if issubclass(each, torch.optim.Optimizer)}
    del known["Optimizer"]
    found = next((each for name, each in known.items() if name.lower() == text.lower()), None)
    if found is None:
        raise InputError(f"unknown optimizer {text!r}; torch.optim has {', '.join(sorted(known))}")
    return found


GENERATION = ("prompt", "generate", "batch")
"""The options that ask for a generation."""

VIEWS: Mapping[str, Sequence[str]] = {
    "generate": ("format", "device"),
    "step": ("format", "memory", "device", "seconds"),
    "device": ("by", "depth", "top", "format"),
    "memory": ("by", "depth", "top", "format"),
    "explain": (),
    "compare": ("depth", "format"),
    "table": ("by", "depth", "top", "format"),
    "github": ("by", "depth", "top", "format"),
    "csv": ("by", "format"),
    "json": ("format",),
    "html": ("format",),
}
"""What can be shown, to the options that say how."""

SHOWN_AS: Mapping[str, tuple[str, Sequence[str]]] = {
    "generate": ("a generation", ("table", "github", "json")),
    "step": ("a step", ("table", "github", "json")),
    "memory": ("memory", ("table", "github", "csv", "json")),
    "device": ("a time", ("table", "github", "json", "html")),
    "compare": ("a comparison", ("table", "github", "html")),
}
"""The formats of what is not shown in all of them."""


def _view(options: Options) -> str:
    """What is to be shown: the one of ``VIEWS`` that all options go with."""
    ending = Path(options.output or "").suffix
    if options.format is None and ending not in (*ENDINGS, *TABLE_ENDINGS):
        raise InputError(f"no format is known by the ending {ending}: name a file {', '.join(ENDINGS)}, or --format")
    written = options.format or ENDINGS.get(ending, "table")
    if any(getattr(options, name) is not None for name in GENERATION):
        _check_generation(options)
    asked = [name for name in ("generate", "memory", "device", "explain", "compare") if getattr(options, name)]
    view = next(iter(asked), written)
    if written == "html" and options.compare and view == "device":
        view = "compare"  # a page has both
    view = "step" if view == "memory" and options.device is not None else view
    if view == "step":
        for name in ("by", "depth", "top", "max_flops", "max_params", "explain", "compare", "strict", "bytes"):
            if getattr(options, name) not in (None, False):
                raise InputError(f"--{name.replace('_', '-')} does not go with --memory and --device together")
    if options.convention != "multiplications" and view in ("step", "generate"):
        raise InputError("--convention does not go with times: operations are those of the convention arithmetic")
    if options.seconds is not None and (view != "step" or not 0 < options.seconds < math.inf):
        raise InputError("--seconds is what a step took, a positive number, beside --memory and --device")
    for name, (what, shown) in SHOWN_AS.items():
        if view == name and written not in shown:
            raise InputError(f"{what} is shown as {', '.join(shown[:-1])} or {shown[-1]}, not as {written}")
    if options.units != "auto" and view not in ("table", "github"):
        raise InputError(f"--units does not go with {view}")
    if options.all:
        if view not in ("table", "github") or options.by not in (None, "module") or options.depth is not None:
            raise InputError("--all is for the table of modules, and not for a depth")
        options.by = "module"
    if options.bytes and view not in ("table", "github"):
        raise InputError(f"--bytes does not go with {view}")
    tables: Collection[str] = TABLES if view == "memory" else TIMES if view == "device" else ROWS
    if options.by is not None and options.by not in tables:
        raise InputError(f"--by is {', '.join(tables)} here, not {options.by}")
    for name in ("explain", "compare", "by", "depth", "top", "format"):
        shown = "html" if written == "html" and name in ("by", "depth", "top") else view
        if getattr(options, name) is not None and name != view and name not in VIEWS[shown]:
            raise InputError(f"--{name} does not go with {f'--{shown}' if shown in asked else shown}")
    for name in ("depth", "top"):
        if (getattr(options, name) or 0) < 0:
            raise InputError(f"--{name} must not be negative")
    if options.depth is not None and options.by not in (None, "module"):
        raise InputError(f"--depth is for --by module, not for --by {options.by}")
    options.format = written
    return view


def _check_generation(options: Options) -> None:
    """
    Raises:
        InputError: a number is missing or not positive, or an option asks for something else.
    """
    if options.prompt is None or options.generate is None:
        raise InputError("a generation is asked for by both --prompt N and --generate N, numbers of tokens")
    for name in GENERATION:
        if (number := getattr(options, name)) is not None and number < 1:
            raise InputError(f"--{name} must be positive, not {number}")
    if options.model is None:
        raise InputError("--generate needs the MODEL that generates")
    others = ("input", "at", "backward", "optimizer", "memory", "bytes", "strict", *BUDGETS)
    other = next((name for name in others if getattr(options, name)), None)
    if other is not None:
        raise InputError(f"--{other.replace('_', '-')} does not go with --generate")


BUDGETS = ("max_flops", "max_params", "max_memory")
