"""`make venv` takes a build of torch that fits the machine."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
LISTING = """torch (2.15.0)
Available versions: 2.15.0, 2.13.0+cpu, 2.13.0, 2.9.1+cpu, 2.10.0+cpu, 2.9.1+cu126, 2.1.0+cpu
  INSTALLED: 2.13.0+cpu
"""


@pytest.fixture(autouse=True)
def _tools_on_path(monkeypatch):
    monkeypatch.syspath_prepend(str(REPO / "tools"))


class Indexes:
    """What pip would list: in its own sources, and on PyTorch's index."""

    def __init__(self, own: str | None, pytorch: str | None) -> None:
        self.own, self.pytorch = own, pytorch
        self.asked: list[tuple[str, ...]] = []

    def __call__(self, where: Sequence[str]) -> str | None:
        self.asked.append(tuple(where))
        return self.pytorch if where else self.own


def choose(indexes: Indexes, requirement: str = "", index: str = "", needs_cuda: bool = False):
    from torch_choice import choose_torch

    return choose_torch(requirement, index, needs_cuda, indexes)


@pytest.mark.parametrize("needs_cuda", [True, False])
@pytest.mark.parametrize("requirement", ["torch==2.13.0", "torch", "/w/torch-2.13.0+cpu.whl"])
def test_what_is_asked_for_is_installed_as_it_is(requirement, needs_cuda):
    indexes = Indexes("2.14.0+cpu", "2.15.0+cpu")
    choice = choose(indexes, requirement, needs_cuda=needs_cuda)
    assert choice.installs == ((requirement,),)
    assert indexes.asked == []


def test_a_machine_with_a_gpu_gets_the_build_with_cuda():
    indexes = Indexes("2.14.0+cpu", "2.15.0+cpu")
    choice = choose(indexes, needs_cuda=True)
    assert choice.installs == (("torch",),)
    assert "GPU" in choice.reason and "TORCH=" in choice.reason
    assert indexes.asked == []


def test_a_cpu_build_that_pip_finds_by_itself_is_preferred():
    indexes = Indexes("2.13.0+cpu", "2.15.0+cpu")
    choice = choose(indexes)
    assert choice.installs == (("torch==2.13.0+cpu",),)
    assert len(indexes.asked) == 1
    for said in ("no NVIDIA GPU", "2.13.0+cpu", "TORCH=", "TORCH_INDEX="):
        assert said in choice.reason


def test_else_the_cpu_build_comes_from_pytorchs_index():
    from torch_choice import CPU_INDEX

    choice = choose(Indexes(None, "2.15.0+cpu"))
    alone, rest = choice.installs
    assert alone == ("--no-deps", "--index-url", CPU_INDEX, "torch==2.15.0+cpu")
    assert rest == ("torch==2.15.0+cpu",)
    assert CPU_INDEX in choice.reason


def test_without_any_cpu_build_the_download_is_announced_and_how_to_avoid_it():
    choice = choose(Indexes(None, None))
    assert choice.installs == (("torch",),)
    for said in ("got:", "expected:", "do:", "3 GB", "TORCH=/", "TORCH_INDEX="):
        assert said in choice.reason


@pytest.mark.parametrize("needs_cuda", [True, False])
@pytest.mark.parametrize(("requirement", "wanted"), [("", "torch"), ("torch==2.9", "torch==2.9")])
def test_an_index_that_is_asked_for_goes_before_all(requirement, wanted, needs_cuda):
    indexes = Indexes("2.13.0+cpu", "2.15.0+cpu")
    choice = choose(indexes, requirement, "file:///mirror", needs_cuda)
    alone = ("--no-deps", "--index-url", "file:///mirror", wanted)
    assert choice.installs == (alone, (wanted,))
    assert indexes.asked == []


def test_the_newest_cpu_build_of_a_listing():
    from torch_choice import newest_listed

    assert newest_listed(LISTING) == "2.13.0+cpu"
    assert newest_listed(LISTING.replace("2.13.0+cpu, ", "")) == "2.10.0+cpu"
    # Too old for this package, and not a version at all.
    assert newest_listed("torch (2)\nAvailable versions: 2.1.0+cpu, 2.9.0\n") is None
    assert newest_listed("") is None
    assert newest_listed("ERROR: No matching distribution found for torch\n") is None


def test_a_gpu_is_seen_by_its_program_or_its_device_files(tmp_path, monkeypatch):
    from torch_choice import has_nvidia_gpu, wants_pypi_build

    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert not has_nvidia_gpu(tmp_path)
    (tmp_path / "nvidiactl").touch()
    assert has_nvidia_gpu(tmp_path)
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert has_nvidia_gpu(tmp_path / "bin")
    # PyPI's macOS wheels have no CUDA in them.
    assert wants_pypi_build("darwin")


def test_pip_is_asked_in_the_folder_it_is_told(tmp_path):
    """Real pip, no network: an index that is a folder on disk."""
    from torch_choice import newest_cpu_build

    version = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    page = tmp_path / "torch" / "index.html"
    page.parent.mkdir()
    names = (f"torch-{v}-{version}-none-any.whl" for v in ("2.14.0", "2.13.0%2Bcpu"))
    page.write_text("".join(f'<a href="{name}">{name}</a>\n' for name in names))
    where = ["--index-url", tmp_path.as_uri(), "--isolated", "--extra-index-url", ""]
    assert newest_cpu_build(Path(sys.executable), where) == "2.13.0+cpu"


def test_an_index_that_never_answers_costs_ten_seconds_at_most(tmp_path, monkeypatch):
    import torch_choice

    monkeypatch.setattr(torch_choice, "LOOKUP_LIMIT_S", 0.5)
    mute = tmp_path / "python"
    mute.write_text("#!/bin/sh\nexec sleep 60\n")
    mute.chmod(0o755)
    began = time.monotonic()
    assert torch_choice.newest_cpu_build(mute, ()) is None
    assert time.monotonic() - began < 10


def test_a_finished_build_is_checked_without_asking_anyone(tmp_path, monkeypatch):
    import make_venv

    monkeypatch.setattr(make_venv, "newest_cpu_build", lambda *_: pytest.fail("asked"))
    chosen = make_venv.torch_step(make_venv.Options(tmp_path, "", "jazzy"))
    given = make_venv.torch_step(make_venv.Options(tmp_path, "torch==2.13.0", "jazzy"))
    other = make_venv.torch_step(make_venv.Options(tmp_path, "", "jazzy", "file:///mirror"))
    assert (given.title, given.inputs) == ("torch==2.13.0", "torch==2.13.0")
    assert chosen.inputs != other.inputs


def test_the_choice_is_said_and_installed(tmp_path, monkeypatch, capsys):
    import make_venv

    ran: list[list[str]] = []
    monkeypatch.setattr(make_venv, "wants_pypi_build", lambda: False)
    monkeypatch.setattr(make_venv, "newest_cpu_build", lambda *_: "2.13.0+cpu")
    monkeypatch.setattr(make_venv, "pip_install", lambda _, arguments: ran.append([*arguments]))
    make_venv.torch_step(make_venv.Options(tmp_path, "", "jazzy")).action()
    assert ran == [["torch==2.13.0+cpu"]]
    assert "no NVIDIA GPU: the CPU build 2.13.0+cpu" in capsys.readouterr().out
