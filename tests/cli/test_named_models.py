"""The models that names mean, and the calls that they are counted on."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn

from fxcount import InputError, count_graph
from fxcount.cli.named_models import Arguments, NamedModel, in_dtype, load_model, parse_call

MODEL_FILE = """
import torch
from torch import nn
from beside import WIDTH


class Net(nn.Module):
    def __init__(self, width=WIDTH):
        super().__init__()
        self.layer = nn.Linear(8, width)

    def forward(self, x):
        return self.layer(x)


class Measured(Net):
    def __init__(self):
        super().__init__(int(torch.ones(3).sum()))


class Broken(Net):
    def __init__(self):
        raise RuntimeError("it never works")


net = Net(5)
number = 3
"""


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a model in a file, which imports the file beside it."""
    (tmp_path / "own_model.py").write_text(MODEL_FILE)
    (tmp_path / "beside.py").write_text("WIDTH = 4\n")
    monkeypatch.chdir(tmp_path)
    for name in ("own_model", "beside"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return tmp_path


def parameters(named: NamedModel) -> int:
    assert isinstance(named.model, nn.Module)
    return sum(parameter.numel() for parameter in named.model.parameters())


def shapes(named: NamedModel) -> Any:
    assert named.example is not None
    args = [tuple(tensor.shape) for tensor in named.example.args]
    return args, {name: tuple(tensor.shape) for name, tensor in named.example.kwargs.items()}


def test_arguments_are_literals() -> None:
    assert parse_call("timm/resnet50") == ("timm/resnet50", Arguments((), {}))
    assert parse_call("a:b()") == ("a:b", Arguments((), {}))
    assert parse_call("a:b(1, 'x (y)', k=[2.5, None])") == ("a:b", Arguments((1, "x (y)"), {"k": [2.5, None]}))


@pytest.mark.parametrize("text", ["a:b(", "a:b(c)", "a:b(__import__('os'))", "a:b(**{})", "a:b(1)(2)", "a:b(1) + 2"])
def test_arguments_are_never_code(text: str) -> None:
    with pytest.raises(InputError, match="arguments are Python literals"):
        parse_call(text)


@pytest.mark.parametrize(
    ("name", "outputs", "device"),
    [
        ("own_model.py:Net", 4, "meta"),
        ("own_model.py:Net(width=7)", 7, "meta"),
        ("own_model.py:Net(7)", 7, "meta"),
        ("own_model:Net", 4, "meta"),
        ("own_model.py:Measured", 3, "cpu"),
        ("own_model.py:net", 5, "cpu"),
    ],
)
def test_python(name: str, outputs: int, device: str, directory: Path) -> None:
    path = list(sys.path)
    named = load_model(name)
    assert parameters(named) == 8 * outputs + outputs
    assert named.example is None
    assert isinstance(named.model, nn.Module)
    assert not named.model.training
    assert next(named.model.parameters()).device.type == device
    assert sys.path == path


def test_a_file_elsewhere(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert parameters(load_model(f"{directory}/own_model.py:Net")) == 36


def test_a_models_own_error_is_its_own(directory: Path) -> None:
    with pytest.raises(RuntimeError, match="it never works"):
        load_model("own_model.py:Broken")


def test_a_model_without_arguments_needs_no_description(directory: Path) -> None:
    (directory / "beside.py").write_text(
        "from torch import nn, ones\nclass Own(nn.Module):\n    def forward(self, n=2): return ones(n)\n"
    )
    assert shapes(load_model("beside.py:Own")) == ([], {})


@pytest.mark.parametrize(("name", "params", "size"), [("resnet18", 11_689_512, 224), ("inception_v3", 27_161_264, 299)])
def test_torchvision(name: str, params: int, size: int) -> None:
    """Parameters as torchvision publishes them."""
    named = load_model(f"torchvision/{name}")
    assert parameters(named) == params
    assert shapes(named) == ([(1, 3, size, size)], {})


def test_torchvision_for_more_than_classes() -> None:
    assert shapes(load_model("torchvision/fcn_resnet50")) == ([(1, 3, 520, 520)], {})


def test_arguments_of_torchvision_and_timm() -> None:
    assert parameters(load_model("torchvision/resnet18(num_classes=10)")) == 11_689_512 - 990 * 513
    assert parameters(load_model("timm/resnet18(num_classes=10)")) == 11_689_512 - 990 * 513


@pytest.mark.parametrize("name", ["timm/resnet18", "timm/resnet18.a1_in1k", 'timm:create_model(model_name="resnet18")'])
def test_timm(name: str) -> None:
    named = load_model(name)
    assert parameters(named) == 11_689_512
    assert shapes(named) == ([(1, 3, 224, 224)], {})


def test_timm_knows_its_input_size() -> None:
    assert shapes(load_model("timm/vit_tiny_patch16_384")) == ([(1, 3, 384, 384)], {})


LLAMA = transformers.LlamaConfig(
    num_hidden_layers=2, hidden_size=64, intermediate_size=128, num_attention_heads=4, vocab_size=100
)
"""By hand: 100 * 64 embeddings; per layer 4 * 64 * 64 + 3 * 64 * 128 and two norms of 64; a norm of 64."""

LLAMA_PARAMS = 100 * 64 + 2 * (4 * 64 * 64 + 3 * 64 * 128 + 2 * 64) + 64


@pytest.mark.parametrize("name", ["hf/llama", "hf/llama/config.json", "hf/{}/llama"])
def test_transformers(name: str, directory: Path) -> None:
    LLAMA.save_pretrained(directory / "llama")
    named = load_model(name.format(directory))
    assert parameters(named) == LLAMA_PARAMS
    assert shapes(named) == ([], {"input_ids": (1, 128)})


def test_the_architecture_that_a_configuration_names(directory: Path) -> None:
    LLAMA.save_pretrained(directory / "llama")
    config = (directory / "llama" / "config.json").read_text()
    (directory / "own.json").write_text(config.replace("{", '{"architectures": ["LlamaForCausalLM"],', 1))
    named = load_model("hf/own.json")
    assert type(named.model).__name__ == "LlamaForCausalLM"
    assert parameters(named) == LLAMA_PARAMS + 100 * 64


def test_a_bare_configuration_gets_a_head_where_it_is_to_generate(directory: Path) -> None:
    LLAMA.save_pretrained(directory / "llama")
    named = load_model("hf/llama", generates=True)
    assert type(named.model).__name__ == "LlamaForCausalLM"
    assert parameters(named) == LLAMA_PARAMS + 100 * 64


def test_a_name_in_the_cache_of_transformers(directory: Path) -> None:
    revision = directory / "hub" / "models--own--llama" / "snapshots" / ("0" * 40)
    LLAMA.save_pretrained(revision)
    (revision.parent.parent / "refs").mkdir()
    (revision.parent.parent / "refs" / "main").write_text("0" * 40)
    command = (
        "from fxcount.cli.named_models import load_model\nprint(load_model('hf/own/llama').model.config.hidden_size)"
    )
    surroundings = {**os.environ, "HF_HOME": str(directory)}
    done = subprocess.run([sys.executable, "-c", command], env=surroundings, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["64"]


def test_another_dtype(directory: Path) -> None:
    LLAMA.save_pretrained(directory / "llama")
    named = in_dtype(load_model("hf/llama"), torch.bfloat16)
    assert isinstance(named.model, nn.Module)
    assert {each.dtype for each in named.model.parameters()} == {torch.bfloat16}
    vision = in_dtype(load_model("torchvision/alexnet"), torch.float64)
    assert vision.example is not None
    assert [each.dtype for each in vision.example.tensors()] == [torch.float64]
    program = torch.export.export(nn.Linear(4, 3), (torch.ones(2, 4),))
    with pytest.raises(InputError, match="a saved program has the dtypes that it was saved with"):
        in_dtype(NamedModel(program, None), torch.bfloat16)


def test_arguments_of_transformers_change_the_configuration(directory: Path) -> None:
    LLAMA.save_pretrained(directory / "llama")
    more = parameters(load_model("hf/llama(num_hidden_layers=5)")) - LLAMA_PARAMS
    assert more == 3 * (4 * 64 * 64 + 3 * 64 * 128 + 2 * 64)


@pytest.mark.parametrize(
    ("config", "inputs"),
    [
        (transformers.ViTConfig(num_hidden_layers=1, image_size=32), {"pixel_values": (1, 3, 32, 32)}),
        (transformers.T5Config(num_layers=1), {"input_ids": (1, 128), "decoder_input_ids": (1, 128)}),
        (transformers.BertConfig(num_hidden_layers=1, max_position_embeddings=32), {"input_ids": (1, 32)}),
        (transformers.CLIPConfig(), {"input_ids": (1, 77), "pixel_values": (1, 3, 224, 224)}),
        (
            transformers.WhisperConfig(encoder_layers=1, decoder_layers=1),
            {"input_features": (1, 80, 3000), "decoder_input_ids": (1, 128)},
        ),
        (transformers.Wav2Vec2Config(num_hidden_layers=1), {"input_values": (1, 16000)}),
        (transformers.ASTConfig(num_hidden_layers=1), {"input_values": (1, 1024, 128)}),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_inputs_of_transformers(config: Any, inputs: dict[str, Any], directory: Path) -> None:
    config.save_pretrained(directory)
    named = load_model(f"hf/{directory}")
    assert shapes(named) == ([], inputs)
    assert named.example is not None
    assert count_graph(named.model, named.example.args, named.example.kwargs).macs > 0


@pytest.mark.parametrize(
    ("name", "inputs", "published"),
    [
        ("torchvision/r3d_18", [(1, 3, 16, 112, 112)], 40.697),
        ("torchvision/mvit_v2_s", [(1, 3, 16, 224, 224)], 64.224),
        ("torchvision/raft_small", [(1, 3, 520, 960)] * 2, None),
        ("torchvision/fasterrcnn_mobilenet_v3_large_320_fpn", [(3, 800, 800)], None),
        ("torchvision/retinanet_resnet50_fpn", [(3, 800, 800)], 151.54),
    ],
)
def test_clips_flows_and_detectors(name: str, inputs: list[Any], published: float | None) -> None:
    """The macs are those that torchvision publishes, where it does so for this size."""
    named = load_model(name)
    assert named.example is not None
    assert [tuple(each.shape) for each in named.example.tensors()] == inputs
    cost = count_graph(named.model, named.example.args)
    assert cost.macs > 0
    if published is not None:
        assert round(cost.macs / 1e9, len(str(published).partition(".")[2])) == published


def test_the_size_that_arguments_choose() -> None:
    assert shapes(load_model("timm/vit_tiny_patch16_224(img_size=384)")) == ([(1, 3, 384, 384)], {})
    assert shapes(load_model("timm/vit_tiny_patch16_224(img_size=(64, 96))")) == ([(1, 3, 64, 96)], {})


def test_what_may_be_meant(directory: Path) -> None:
    with pytest.raises(InputError, match=r"it has own_model\.py:Net, own_model\.py:Measured, .*own_model\.py:net$"):
        load_model("own_model.py")
    (directory / "empty.py").write_text("WIDTH = 4\n")
    with pytest.raises(InputError, match="it has no model, and nothing that may return one"):
        load_model("empty.py")
    with pytest.raises(InputError, match=r"did you mean torchvision/resnet50 or timm/resnet50\?"):
        load_model("resnet50")


def test_a_saved_program(directory: Path) -> None:
    program = torch.export.export(nn.Linear(4, 3), (torch.ones(2, 4),))
    torch.export.save(program, directory / "linear.pt2")
    named = load_model("linear.pt2")
    assert shapes(named) == ([(2, 4)], {})
    assert named.example is not None
    assert count_graph(named.model, named.example.args).macs == 24


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("resnet50x", "names no model; a model is torchvision/NAME"),
        ("timm/", "names no model"),
        ("own_model.py", "names no model"),
        ("linear.pt2(1)", "names no model"),
        ("no.such.module:model", "cannot import no.such.module"),
        ("torchvision.models:no_such_model", "no callable 'no_such_model'"),
        ("torch:get_num_threads", "returned int"),
        ("own_model.py:number", "no callable 'number'"),
        ("none.py:Net", "there is no file none.py"),
        ("none.pt2", "there is no file none.pt2"),
        ("own_model.pt2", "is no program that torch.export saved"),
        ("torchvision/resnet19", "no model 'resnet19'; similar names: resnet18"),
        ("timm/zzz", "no model 'zzz'; similar names: none is close"),
        ("hf/nowhere", "nowhere does not exist"),
        ("hf/own_model.py", "is no configuration that transformers knows"),
    ],
)
def test_what_names_no_model(name: str, message: str, directory: Path) -> None:
    (directory / "own_model.pt2").write_text("no program")
    with pytest.raises(InputError, match=message):
        load_model(name)
