"""Several processes training one network, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist

from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.config.errors import ConfigError


@dataclass(frozen=True)
class Group:
    """The place of a process among those that train together.

    Attributes:
        rank: 0 to ``world`` - 1; only 0 writes.
        world: how many processes.
        local_rank: the process's number on its machine, which chooses its GPU.

    >>> Group().is_first, Group(rank=1, world=2).is_first
    (True, False)
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """The process that writes files and talks."""
        return self.rank == 0

    def device(self, name: str) -> torch.device:
        """Return the device of this process: with several, each has its own GPU."""
        device = resolve_device(name)
        if device.type == "cuda" and self.world > 1 and device.index is None:
            return resolve_device(f"cuda:{self.local_rank}")
        return device

    def sum_(self, values: torch.Tensor) -> torch.Tensor:
        """Add ``values`` over all processes, in place, and return them."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def mean_(self, tensors: list[torch.Tensor]) -> None:
        """Replace each tensor by its mean over all processes, in one exchange."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.world
        at = 0
        for tensor in tensors:
            tensor.copy_(flat[at : at + tensor.numel()].view_as(tensor))
            at += tensor.numel()

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.world > 1:
            dist.barrier()


def group_of_environment() -> Group:
    """Return this process's place, from the variables that ``torchrun`` sets.

    Raises:
        ConfigError: they are there but make no sense.
    """
    try:
        group = Group(
            rank=int(os.environ.get("RANK", "0")),
            world=int(os.environ.get("WORLD_SIZE", "1")),
            local_rank=int(os.environ.get("LOCAL_RANK", "0")),
        )
    except ValueError as error:
        raise ConfigError.from_parts(
            "RANK, WORLD_SIZE, LOCAL_RANK", error, "whole numbers", "start with torchrun"
        ) from error
    if not 0 <= group.rank < group.world:
        raise ConfigError.from_parts(
            "RANK", group.rank, f"0 to WORLD_SIZE - 1 ({group.world - 1})", "start with torchrun"
        )
    return group


@contextmanager
def joined(group: Group, device: torch.device) -> Iterator[None]:
    """Connect to the other processes (gloo on a CPU, NCCL on GPUs) for as long as the block."""
    if group.world == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()
