"""Files of named tensors: safetensors and files of ``torch.save``. No code in them is executed."""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load, save

from e2e_slam_ros.config.errors import DepthError
from e2e_slam_ros.data.atomic import open_atomic

# Metadata key of the tensors' hash. `write_weights` adds it and `read_weights` checks it.
CONTENT_HASH = "content_sha256"

# Messages of torch's restricted unpickler that name refused code, by release.
_CODE = re.compile(r"(?:GLOBAL|[Uu]nsupported class|unrecognized function) (\S+)")
_KEYS_SHOWN = 4
# Number of bytes for the header's length, at the start of a safetensors file.
_LENGTH_BYTES = 8


@dataclass(frozen=True, eq=False)
class WeightsFile:
    """Tensors by name, on the CPU, and the metadata saved with them (none in pickles).

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "weights.safetensors"
    ...     write_weights(path, {"bias": torch.zeros(3)}, {"recipe": "none"})
    ...     file = read_weights(path, "weights")
    >>> file.tensors["bias"].shape, file.metadata["recipe"]
    (torch.Size([3]), 'none')
    """

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str]


def read_weights(path: Path, expected: str) -> WeightsFile:
    """Return the tensors of a file. Its kind is recognised by its content, not by its name.

    Args:
        path: a safetensors file, or a file of ``torch.save`` with tensors by name, alone or under
            "state_dict".
        expected: description of the expected file, for the message of a refusal.

    Raises:
        DepthError: the file is missing, truncated or changed since it was written, holds something
            else, or needs code to be run.
    """
    head = _head(path, expected)
    try:
        if _is_pickle(head):
            content = _unpickled(path, head)
            return WeightsFile(_tensors(content, path, expected), {})
        if _is_safetensors(head):
            return _read_safetensors(path, expected)
    except DepthError:
        raise
    except Exception as problem:  # what the decoders raise for damaged bytes is not documented
        raise _unreadable(path, expected, problem) from problem
    raise _foreign(path, expected, head)


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return the metadata of a safetensors file, {} for pickles. Tensors are not read.

    Raises:
        DepthError: the file is missing, truncated or of another kind.
    """
    path = Path(path).expanduser()
    expected = "weights (.safetensors)"
    head = _head(path, expected)
    if _is_pickle(head):
        return {}
    if not _is_safetensors(head):
        raise _foreign(path, expected, head)
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except Exception as problem:  # as in `read_weights`
        raise _unreadable(path, expected, problem) from problem


def write_weights(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file, completely or not at all. Equal input gives equal bytes.

    Raises:
        DepthError: the folder cannot be written, or the disk is full.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    header, data = _split(save(plain))
    texts = dict(metadata) | {CONTENT_HASH: _content_hash(header, data)}
    # The library writes the header's entries in an order that differs between calls.
    text = json.dumps({"__metadata__": texts, **header}, sort_keys=True).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)  # tensors begin at a multiple of 8
    with open_atomic(path, DepthError) as file:
        file.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
        file.write(data)


def listed(names: list[str]) -> str:
    """Return the first few names and the number of the others."""
    more = len(names) - _KEYS_SHOWN
    return ", ".join(names[:_KEYS_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _head(path: Path, expected: str) -> bytes:
    """Return the file's first bytes."""
    try:
        with path.open("rb") as stream:
            head = stream.read(24)
    except FileNotFoundError:
        do = "check the path of the weights"
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


def _is_pickle(head: bytes) -> bool:
    """Return whether the file is a zip archive (torch) or a bare pickle (torch before 1.6)."""
    # The length that a safetensors file starts with may have these bytes, too.
    return not _is_safetensors(head) and (head[:2] == b"PK" or head[:1] == b"\x80")


def _is_safetensors(head: bytes) -> bool:
    """Return whether the file starts with a length below 2^40 and then JSON."""
    return head[5 : _LENGTH_BYTES + 1] == b"\0\0\0{"


def _unpickled(path: Path, head: bytes) -> object:
    if head[:2] == b"PK" and not zipfile.is_zipfile(path):
        raise EOFError("the archive's directory at its end is missing")
    return torch.load(path, map_location="cpu", weights_only=True)


def _tensors(content: object, path: Path, expected: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a checkpoint by name, without the prefix of parallel training."""
    inner = content.get("state_dict", content) if isinstance(content, Mapping) else content
    if (
        not isinstance(inner, Mapping)
        or not inner
        or not all(isinstance(v, torch.Tensor) and isinstance(k, str) for k, v in inner.items())
    ):
        got = type(inner).__name__
        if isinstance(inner, Mapping):
            got = f"a dict of {listed([str(key) for key in inner])}" if inner else "an empty dict"
        raise DepthError.from_parts(
            f"depth weights {path}", got, expected, "check that this is the depth network's file"
        )
    return {key.removeprefix("module."): value for key, value in inner.items()}


def _read_safetensors(path: Path, expected: str) -> WeightsFile:
    content = path.read_bytes()
    tensors = load(content)  # checks the header before anything else looks at it
    header, data = _split(content)
    metadata: dict[str, str] = header.pop("__metadata__", {})
    written = metadata.get(CONTENT_HASH)
    if written is not None and written != _content_hash(header, data):
        raise DepthError.from_parts(
            f"depth weights {path}",
            "content that was changed since it was written (its SHA-256 differs)",
            "the content it was saved with",
            "copy or download it again",
        )
    return WeightsFile(_tensors(tensors, path, expected), metadata)


def _split(content: bytes) -> tuple[dict[str, dict[str, str]], bytes]:
    """Return the header and the tensors' bytes of a safetensors file."""
    start = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    return json.loads(content[_LENGTH_BYTES:start]), content[start:]


def _content_hash(header: Mapping[str, object], data: bytes) -> str:
    """Return the SHA-256 of the tensors' names, types, shapes and bytes."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(data)
    return digest.hexdigest()


def _foreign(path: Path, expected: str, head: bytes) -> DepthError:
    """Return the refusal for a file of another kind."""
    return DepthError.from_parts(
        f"depth weights {path}",
        f"a file that begins with {head!r}",
        expected,
        "download it again: this is often a web page or a placeholder saved under its name",
    )


def _unreadable(path: Path, expected: str, problem: Exception) -> DepthError:
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
        # Before this word torch advises to allow code. That is wrong advice for a damaged file.
        reason = text.rpartition("WeightsUnpickler error:")[2].strip() or type(problem).__name__
        reason = reason.splitlines()[0][:160]
        got = f"a truncated or damaged file ({path.stat().st_size} bytes; {reason})"
        do = "copy or download it again and compare its size"
    return DepthError.from_parts(f"depth weights {path}", got, expected, do)
