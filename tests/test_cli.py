import subprocess
import sys

import pytest

from fxcount.cli import main


def test_the_worked_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith("The worked example")
    assert "1,344  327,680  344,064   100.0%" in out


def test_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "fxcount"], capture_output=True, text=True, check=True)
    assert "344,064" in done.stdout


def test_a_named_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["torchvision.models:resnet50", "--input", "1,3,224,224"]) == 0
    out = capsys.readouterr().out
    assert "25,557,032" in out  # torchvision's num_params
    assert "Not counted" not in out


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["resnet50"], 2, "MODULE:CALLABLE"),
        (["no.such.module:model"], 2, "cannot import no.such.module"),
        (["torchvision.models:no_such_model"], 2, "no callable 'no_such_model'"),
        (["torch:get_num_threads"], 2, "returned int"),
        (["torch.nn:Identity", "--input", "1,x"], 2, "a shape such as"),
        (["torch.nn:Identity", "--input", "1:float33"], 2, "not a dtype"),
        (["torchvision.models:alexnet", "--input", "1,4,224,224"], 1, "at call_module features.0 on x [1, 4, 224"),
        (["torchvision.models:alexnet"], 1, "missing 1 required"),
    ],
)
def test_errors(arguments: list[str], status: int, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == status
    out, err = capfd.readouterr()
    assert out == ""
    assert message in err
    assert "Traceback" not in err
