"""Hash of a checkpoint's content, which shows that a file was damaged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch


def content_hash(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> str:
    """Return the SHA-256 of all tensors and metadata as 64 hexadecimal digits.

    It covers names, types, shapes and values, in the order of the names. Where the file keeps
    them does not matter.

    Args:
        tensors: on the CPU, of any shape and type.
        metadata: of the file, without the hash.
    """
    digest = hashlib.sha256()
    for name, text in sorted(metadata.items()):
        digest.update(repr((name, text)).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        flat = tensor.detach().contiguous().reshape(-1)
        if len(flat):
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()
