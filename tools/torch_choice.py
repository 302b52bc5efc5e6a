"""Which build of torch fits this machine.

PyPI's Linux wheels of torch need CUDA libraries, about 3 GB, also on a machine that cannot use
them: without them `import torch` ends with "libcudnn.so.9: cannot open shared object file"
(torch 2.14.1), so leaving them out (`pip install --no-deps`) does not help. The builds without
CUDA are on PyTorch's own index, which is not reached from everywhere.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from run_logged import clean_environment

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
OLDEST = (2, 2)
LOOKUP_LIMIT_S = 10.0
# Less than the limit: pip then says itself that it got no answer.
ANSWER_LIMIT_S = 4
OTHERWISE = "other builds: make venv TORCH=<pip requirement or wheel> or TORCH_INDEX=<index>"


@dataclass(frozen=True)
class TorchChoice:
    """What to install, as argument lists of `pip install` in order, and why."""

    installs: tuple[tuple[str, ...], ...]
    reason: str


def choose_torch(
    requirement: str,
    index: str,
    needs_cuda: bool,
    newest_cpu_build: Callable[[Sequence[str]], str | None],
) -> TorchChoice:
    """Return what to install.

    Args:
        requirement: pip requirement or wheel that the user asks for; empty leaves the choice
            to this function.
        index: package index that the user wants torch from; empty means none is asked for.
        needs_cuda: whether PyPI's build is right here, see `wants_pypi_build`.
        newest_cpu_build: takes arguments of pip that name an index (none: pip's own sources) and
            returns the version of the newest build without CUDA there, or None.
    """
    wanted = requirement or "torch"
    if index:
        return _from_index(wanted, index, f"{wanted} from {index}, as asked for")
    if requirement:
        return TorchChoice(((requirement,),), f"{requirement}, as asked for")
    if needs_cuda:
        reason = f"an NVIDIA GPU, or not Linux: PyPI's own build; {OTHERWISE}"
        return TorchChoice((("torch",),), reason)
    local = newest_cpu_build(())
    if local is not None:
        reason = f"no NVIDIA GPU: the CPU build {local} that pip finds here; {OTHERWISE}"
        return TorchChoice(((f"torch=={local}",),), reason)
    version = newest_cpu_build(("--index-url", CPU_INDEX))
    if version is not None:
        reason = f"no NVIDIA GPU: the CPU build {version} from {CPU_INDEX}; {OTHERWISE}"
        return _from_index(f"torch=={version}", CPU_INDEX, reason)
    return TorchChoice((("torch",),), FALLBACK)


FALLBACK = f"""no NVIDIA GPU, but no CPU build of torch is in reach either:
  got: pip's own sources have none, {CPU_INDEX} gave no answer
  expected: one of the two
  do: nothing, and PyPI's build is downloaded now with CUDA libraries that stay unused (about
      3 GB); or stop this (Ctrl-C) and give a CPU build that you have:
      make venv TORCH=/path/to/torch-<version>+cpu-<...>.whl
      make venv TORCH_INDEX=<mirror of {CPU_INDEX}>"""


def _from_index(wanted: str, index: str, reason: str) -> TorchChoice:
    """Take torch alone from the index, then what it needs from where pip gets everything else.

    With both indexes in one call pip would take the newer version, wherever that is.
    """
    return TorchChoice((("--no-deps", "--index-url", index, wanted), (wanted,)), reason)


def has_nvidia_gpu(devices: Path = Path("/dev")) -> bool:
    """Whether the machine shows signs of an NVIDIA GPU: its driver's program or device files."""
    return shutil.which("nvidia-smi") is not None or any(devices.glob("nvidia*"))


def wants_pypi_build(platform: str = sys.platform) -> bool:
    """Whether PyPI's build is the right one: for CUDA, or off Linux, where it has none in it."""
    return platform != "linux" or has_nvidia_gpu()


def newest_cpu_build(python: Path, where: Sequence[str]) -> str | None:
    """Ask pip for the newest CPU build that this interpreter can use; None after 10 s at most.

    Args:
        python: interpreter whose pip is asked; the environment's pip settings stay in force.
        where: arguments that name an index, or none.
    """
    limits = ["--timeout", str(ANSWER_LIMIT_S), "--retries", "0"]
    try:
        done = subprocess.run(
            [str(python), "-m", "pip", "index", "versions", "torch", *limits, *where],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=clean_environment(),
            timeout=LOOKUP_LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return None
    return newest_listed(done.stdout)


def newest_listed(listing: str) -> str | None:
    """Return the newest `+cpu` version in the output of `pip index versions`, or None."""
    line = re.search(r"^Available versions: (.*)$", listing, re.MULTILINE)
    versions = line[1].split(", ") if line else []
    usable = [v for v in versions if re.fullmatch(r"[\d.]+\+cpu", v) and _key(v) >= OLDEST]
    return max(usable, key=_key, default=None)


def _key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("+")[0].split("."))
