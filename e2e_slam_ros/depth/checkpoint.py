"""Depth network weights from files, refused with a reason when they cannot be used."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file

from e2e_slam_ros.depth.disp_resnet import DispResNet18
from e2e_slam_ros.errors import ConfigError, DepthError

ARCHITECTURES = ("disp_resnet18",)

# What the depth does not depend on: files may lack it.
_OPTIONAL = re.compile(r"encoder\.encoder\.fc\.|.*\.num_batches_tracked$")
# How torch's restricted unpickler names what it will not run, by release.
_CODE = re.compile(r"(?:GLOBAL|[Uu]nsupported class|unrecognized function) (\S+)")
_EXPECTED = "weights of {architecture} (.safetensors, or .pth/.pth.tar with a state_dict)"
_KEYS_SHOWN = 4


def load_weights(
    path: str | Path, architecture: str, device: torch.device | str = "cpu"
) -> DispResNet18:
    """Return the network with weights from a file, in evaluation mode.

    Files are safetensors, or written by ``torch.save``: a state dict or, as SC-SfMLearner's
    published ones, ``{"epoch": ..., "state_dict": ...}``. Nothing in a file is executed.

    Args:
        path: the file; which kind it is shows in its content, not its name.
        architecture: one of `ARCHITECTURES`.
        device: where the network goes.

    Raises:
        ConfigError: an unknown architecture.
        DepthError: the file is missing, truncated, no weights, of another architecture, has
            values that are not finite, or needs code to be run.
    """
    if architecture not in ARCHITECTURES:
        raise ConfigError.from_parts(
            "depth.network.architecture",
            repr(architecture),
            "one of " + ", ".join(ARCHITECTURES),
            "choose one of these",
        )
    path = Path(path).expanduser()
    expected = _EXPECTED.format(architecture=architecture)
    state = _state_dict(_read(path, expected), path, expected)
    network = DispResNet18()
    own = network.state_dict()
    _check_keys(state, own, path, architecture)
    _check_values(state, path)
    network.load_state_dict({**own, **state}, strict=True)
    return network.to(device).eval()


def _read(path: Path, expected: str) -> object:
    """Return what the file holds, with tensors on the CPU."""
    head = _head(path, expected)
    try:
        if head[:2] == b"PK":
            if not zipfile.is_zipfile(path):
                raise EOFError("the archive's directory at its end is missing")
            return torch.load(path, map_location="cpu", weights_only=True)
        if head[:1] == b"\x80":  # a pickle: torch.save before version 1.6
            return torch.load(path, map_location="cpu", weights_only=True)
        if head[8:9] == b"{":  # safetensors: 8 bytes of length, then JSON
            return load_file(path)
    except Exception as problem:  # what the decoders raise for damaged bytes is not documented
        raise _unreadable(path, expected, problem) from problem
    raise DepthError.from_parts(
        f"depth weights {path}",
        f"a file that begins with {head!r}",
        expected,
        "download it again: this is often a web page or a placeholder saved under its name",
    )


def _head(path: Path, expected: str) -> bytes:
    """Return the file's first bytes."""
    try:
        with path.open("rb") as stream:
            head = stream.read(24)
    except FileNotFoundError:
        do = "check depth.network.checkpoint"
        got: object = "no such file"
    except OSError as problem:
        do = "give a readable file"
        got = problem.strerror or problem
    else:
        if head:
            return head
        do = "download it again"
        got = "an empty file"
    raise DepthError.from_parts(f"depth weights {path}", got, expected, do)


def _unreadable(path: Path, expected: str, problem: Exception) -> Exception:
    """Return the refusal for a file of the right kind that torch or safetensors rejects."""
    text = str(problem)
    code = _CODE.search(text)
    if code:
        got = f"a pickle that needs code to be run ({code.group(1)}), which could do anything"
        do = (
            "convert it where you trust it: "
            "torch.save({'epoch': 0, 'state_dict': network.state_dict()}, ...)"
        )
    else:
        # torch's advice before this word, to allow code, is not what a damaged file needs.
        reason = text.rpartition("WeightsUnpickler error:")[2].strip() or type(problem).__name__
        reason = reason.splitlines()[0][:160]
        got = f"a truncated or damaged file ({path.stat().st_size} bytes; {reason})"
        do = "copy or download it again and compare its size"
    return DepthError.from_parts(f"depth weights {path}", got, expected, do)


def _state_dict(content: object, path: Path, expected: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint by name, without the prefix of parallel training."""
    inner = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if (
        not isinstance(inner, Mapping)
        or not inner
        or not all(isinstance(v, torch.Tensor) and isinstance(k, str) for k, v in inner.items())
    ):
        got = type(inner).__name__
        if isinstance(inner, Mapping):
            got = f"a dict of {_listed([str(key) for key in inner])}" if inner else "an empty dict"
        raise DepthError.from_parts(
            f"depth weights {path}", got, expected, "check that this is the depth network's file"
        )
    return {key.removeprefix("module."): value for key, value in inner.items()}


def _check_keys(
    state: Mapping[str, torch.Tensor],
    own: Mapping[str, torch.Tensor],
    path: Path,
    architecture: str,
) -> None:
    """Refuse weights of another architecture, naming what differs."""
    missing = [key for key in own if key not in state and not _OPTIONAL.match(key)]
    foreign = [key for key in state if key not in own]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(value.shape)}"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    parts = (("without", missing), ("with", foreign), ("with the shapes", shapes))
    differences = [f"{words} {_listed(keys)}" for words, keys in parts if keys]
    if differences:
        raise DepthError.from_parts(
            f"depth weights {path}",
            "a network " + ", ".join(differences),
            f"exactly the parameters of {architecture}",
            _other_architecture(state),
        )


def _other_architecture(state: Mapping[str, torch.Tensor]) -> str:
    """Return advice for weights that are not ours, by the names that give relatives away."""
    if "encoder.encoder.layer1.0.conv3.weight" in state:
        return "these are of a ResNet-50; use the authors' ResNet-18 checkpoint"
    if any("decoder.upconvs0." in key for key in state):
        return (
            "these are of SC-Depth, whose decoder upsamples differently; "
            "use SC-SfMLearner's checkpoint"
        )
    if any(key.startswith("decoder.net.") for key in state):
        return "these are of the pose network; use the depth network's file (dispnet_...)"
    return "use an SC-SfMLearner ResNet-18 depth checkpoint"


def _check_values(state: Mapping[str, torch.Tensor], path: Path) -> None:
    """Refuse weights that are not finite numbers."""
    broken = [key for key, value in state.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise DepthError.from_parts(
            f"depth weights {path}",
            f"NaN or infinite values in {_listed(broken)}",
            "finite values",
            "take an earlier checkpoint: the training of this one diverged",
        )


def _listed(names: list[str]) -> str:
    """Return the first few names and how many more there are."""
    more = len(names) - _KEYS_SHOWN
    return ", ".join(names[:_KEYS_SHOWN]) + (f" and {more} more" if more > 0 else "")
