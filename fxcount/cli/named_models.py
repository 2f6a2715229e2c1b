"""The model that a name on the command line means, built without weights, and an example call for it."""

import ast
import contextlib
import difflib
import functools
import importlib
import importlib.util
import inspect
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from fxcount.cli.example_inputs import default_call, image_call, vision_call
from fxcount.errors import InputError
from fxcount.tracing.example_call import ExampleCall

KINDS = "torchvision/NAME, timm/NAME, hf/CONFIG, hf/ORG/NAME, FILE.py:NAME, PROGRAM.pt2 or MODULE:CALLABLE"


@dataclass(frozen=True)
class NamedModel:
    """A model in eval mode, and the call that is counted unless another is asked for."""

    model: nn.Module | torch.export.ExportedProgram
    example: ExampleCall | None
    """None where nothing tells what the model's input looks like."""


@dataclass(frozen=True)
class Arguments:
    """The literal arguments that a name on the command line hands to what it names."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]


def load_model(text: str, generates: bool = False) -> NamedModel:
    """The model that ``text`` names, on the meta device, or with weights if it cannot be built without.

    ``torchvision/NAME`` and ``timm/NAME``; ``hf/PATH`` with the path of a configuration or of its directory, or
    ``hf/ORG/NAME`` for one in the cache of transformers;
    ``FILE.py:NAME`` and ``MODULE:CALLABLE`` for a model or what returns one; the path of a saved program, which ends in
    ``.pt2``. All but the last take arguments, Python literals: ``timm/resnet50(num_classes=10)``. Of a configuration
    that names no architecture it is the bare model, or, if it ``generates``, the one with a head for that.

    Raises:
        InputError: the text names no model. An error of the model itself is raised as it is.
    """
    name, arguments = parse_call(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # how weights are initialised is no concern of a count
        if name.endswith(".pt2") and arguments == Arguments((), {}):
            return _saved_program(name)
        family, _, rest = name.partition("/")
        if ":" in name:
            return _from_python(name, arguments)
        if family == "hf" and rest:
            return _transformers(rest, arguments, generates)
        if family in FAMILIES and rest:
            return FAMILIES[family](rest, arguments)
    raise InputError(f"{text!r} names no model; {_meant(name)}")


def _meant(name: str) -> str:
    """What may be meant by a name that is none: what a file has, or a model of that name in a library."""
    file = Path(name)
    if file.suffix == ".py" and file.is_file():
        found = [f"{name}:{each}" for each in _models_in(file)]
        return f"it has {', '.join(found)}" if found else "it has no model, and nothing that may return one"
    homes = {"torchvision": "torchvision.models", "timm": "timm"}
    found = [f"{home}/{name}" for home, module in homes.items() if _is_installed(module) and _has_model(module, name)]
    return f"did you mean {' or '.join(found)}?" if found else f"a model is {KINDS}"


def _models_in(file: Path) -> list[str]:
    """The classes, functions and variables at the top of a file that may be a model or return one, without running
    it."""
    try:
        body = ast.parse(file.read_text(encoding="utf-8")).body
    except (SyntaxError, UnicodeDecodeError):
        return []
    names = [each.name for each in body if isinstance(each, ast.ClassDef | ast.FunctionDef)]
    for each in body:
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Call):
            names += [target.id for target in each.targets if isinstance(target, ast.Name)]
    return [each for each in names if not each.startswith("_")]


def _is_installed(module: str) -> bool:
    return importlib.util.find_spec(module.partition(".")[0]) is not None


def _has_model(module: str, name: str) -> bool:
    return name in importlib.import_module(module).list_models()


def parse_call(text: str) -> tuple[str, Arguments]:
    """A name and the arguments behind it, which are literals and never code: ``torch.nn:Linear(4, 3, bias=False)``.

    Raises:
        InputError: the arguments are anything else.
    """
    name, opening, rest = text.partition("(")
    if not opening:
        return name, Arguments((), {})
    try:
        call = ast.parse(f"call({rest}", mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError("something stands behind the call")
        if not all(keyword.arg for keyword in call.keywords):
            raise ValueError("a mapping is unpacked")
        kwargs = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
        return name, Arguments(tuple(map(ast.literal_eval, call.args)), kwargs)
    except (SyntaxError, ValueError) as error:
        raise InputError(f"arguments are Python literals, such as (num_classes=10), not {opening}{rest}") from error


def build(builder: Callable[[], Any], name: str, on_data: bool = False) -> Any:
    """What ``builder`` returns on the meta device, in eval mode; with data, random weights that is, if it needs data to
    be built or, ``on_data``, to run.

    Raises:
        InputError: it does not return a model.
    """
    try:
        with torch.device("cpu" if on_data else "meta"):
            model = builder()
    except Exception:
        if on_data:
            raise
        model = builder()
    if not isinstance(model, nn.Module):
        raise InputError(f"{name} returned {type(model).__name__}, not a torch.nn.Module")
    return model.eval()


def _from_python(name: str, arguments: Arguments) -> NamedModel:
    """A model, or what returns one, in a Python file or an importable module."""
    place, _, attribute = name.rpartition(":")
    file = Path(place) if place.endswith(".py") else None
    with _importable(file.absolute().parent if file else Path.cwd()):
        module = _run_file(file) if file else _import(place)
        found = getattr(module, attribute, None)
        if isinstance(found, nn.Module):
            return NamedModel(found.eval(), default_call(found))
        if not callable(found):
            raise InputError(f"{place} has no callable {attribute!r}")
        model = build(lambda: found(*arguments.args, **arguments.kwargs), name)
    return NamedModel(model, default_call(model))


def _torchvision(name: str, arguments: Arguments) -> NamedModel:
    models = _installed("torchvision.models")
    _check_name(name, models.list_models(), "torchvision")
    builder = models.get_model_builder(name)
    without_weights = {"weights": None, "weights_backbone": None}
    options = {key: None for key in without_weights if key in inspect.signature(builder).parameters}
    kind = next(each for each in KINDS_OF_VISION if name in models.list_models(module=getattr(models, each, models)))
    make = functools.partial(builder, *arguments.args, **{**options, **arguments.kwargs})
    model = build(make, name, on_data=kind == "detection")  # which boxes there are is a matter of values
    weights = models.get_model_weights(name).DEFAULT
    return NamedModel(model, vision_call(kind, weights.transforms(), weights.meta))


KINDS_OF_VISION = ("detection", "video", "optical_flow", "quantization", "segmentation", "")
"""The parts of torchvision.models, "" for classification."""


def _timm(name: str, arguments: Arguments) -> NamedModel:
    timm = _installed("timm")
    _check_name(name.partition(".")[0], timm.list_models(), "timm")
    model = build(lambda: timm.create_model(name, *arguments.args, **arguments.kwargs), name)
    size = arguments.kwargs.get("img_size")
    if size is None:
        return NamedModel(model, default_call(model))
    height, width = (size, size) if isinstance(size, int) else size
    return NamedModel(model, image_call(model.default_cfg["input_size"][0], height, width))


def _transformers(path: str, arguments: Arguments, generates: bool) -> NamedModel:
    """The architecture that a configuration names, else the bare model; nothing is downloaded."""
    transformers = _installed("transformers")
    try:
        config = transformers.AutoConfig.from_pretrained(path, local_files_only=True, **arguments.kwargs)
    except (OSError, ValueError, KeyError) as error:
        if not Path(path).exists():
            raise InputError(f"{path} does not exist, {_how_to_get(path)}") from error
        raise InputError(f"{path} is no configuration that transformers knows: {error}") from error
    named = [found for name in config.architectures or () if (found := getattr(transformers, name, None)) is not None]
    named = [each for each in named if not generates or each.can_generate()]
    bare = transformers.AutoModelForCausalLM if generates else transformers.AutoModel
    make = named[0] if named else bare.from_config
    model = build(lambda: make(config), path)
    return NamedModel(model, default_call(model))


def _how_to_get(path: str) -> str:
    """What to do for a configuration that is not there."""
    takes = "hf/ takes a config.json, its directory, or ORG/NAME from the cache of transformers"
    if re.fullmatch(r"[\w.-]+/[\w.-]+", path) is None:
        return f"and no configuration of that name is in the cache; {takes}"
    return f"and its configuration is not in the cache of transformers; get it by: hf download {path} config.json"


def in_dtype(named: NamedModel, dtype: torch.dtype) -> NamedModel:
    """The model with parameters, buffers and a default input of that dtype, as far as they are no integers.

    Raises:
        InputError: it is a saved program.
    """
    if not isinstance(named.model, nn.Module):
        raise InputError("a saved program has the dtypes that it was saved with: --dtype is for models")
    model, example = named.model.to(dtype), named.example
    if example is not None:
        example = example.replace_tensors(
            lambda name, tensor: tensor.to(dtype) if tensor.is_floating_point() else tensor, model.forward
        )
    return NamedModel(model, example)


FAMILIES: dict[str, Callable[[str, Arguments], NamedModel]] = {"torchvision": _torchvision, "timm": _timm}
"""What stands before the slash in a name, to how such a model is built."""


def _saved_program(path: str) -> NamedModel:
    if not Path(path).is_file():
        raise InputError(f"there is no file {path}")
    try:
        program = torch.export.load(path)
    except Exception as error:
        raise InputError(f"{path} is no program that torch.export saved: {error}") from error
    args, kwargs = program.example_inputs or ((), {})
    return NamedModel(program, ExampleCall(tuple(args), dict(kwargs)))


@contextlib.contextmanager
def _importable(directory: Path) -> Iterator[None]:
    """While it lasts, modules in ``directory`` can be imported."""
    sys.path.insert(0, os.fspath(directory))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(os.fspath(directory))


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(f"cannot import {name}: {error}") from error


def _run_file(file: Path) -> ModuleType:
    """The module that a Python file makes; other modules find it under the file's name unless that is taken."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise InputError(f"there is no file {file}")
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(file.stem, module)
    spec.loader.exec_module(module)
    return module


def _installed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise InputError(f"this model needs {package}: pip install {package}") from error


def _check_name(name: str, known: Iterable[str], family: str) -> None:
    names = list(known)
    if name not in names:
        close = ", ".join(difflib.get_close_matches(name, names)) or "none is close"
        raise InputError(f"{family} has no model {name!r}; similar names: {close}")
