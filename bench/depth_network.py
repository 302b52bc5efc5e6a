"""Inference time and memory of the depth networks.

    python bench/depth_network.py [--networks efficientnet_lite0] [--threads 1 2] [--json FILE]

One image at a time, 320x256, random weights (they do not change the speed). Each row runs in a
process of its own: on the CPU its memory is the process's peak above what it had before the
network was built; on a GPU what torch had allocated at most. Prints milliseconds (median and
95th percentile) of about two seconds of calls after a warm-up.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.depth.architectures import ARCHITECTURES, build_network
from e2e_slam_ros.evaluation.machine import machine_line

VARIANTS = ("eager", "channels_last", "bf16", "channels_last+bf16", "compile", "compile+bf16")
_WARM_UP_S, _MEASURED_S = 0.5, 2.0
_ROW_LIMIT_S = 300.0


def measure(network: str, variant: str, device: torch.device, size: tuple[int, int]) -> Any:
    """Return the figures of one row."""
    height, width = size
    before_mb = _peak_mb(device)
    model = build_network(network).to(device).eval()
    image = torch.rand(1, 3, height, width, device=device)
    if "channels_last" in variant:
        model = model.to(memory_format=torch.channels_last)
        image = image.to(memory_format=torch.channels_last)
    call: Callable[[torch.Tensor], torch.Tensor] = model
    start = time.perf_counter()
    if "compile" in variant:
        call = torch.compile(model)
    with torch.inference_mode(), _precision(variant, device):
        call(image)
        first_s = time.perf_counter() - start
        _times(call, image, device, _WARM_UP_S)
        times = sorted(_times(call, image, device, _MEASURED_S))
    median = statistics.median(times)
    return {
        "ms_p50": round(median, 2),
        "ms_p95": round(times[int(0.95 * (len(times) - 1))], 2),
        "images_per_s": round(1e3 / median, 1),
        "calls": len(times),
        "first_call_s": round(first_s, 2),
        "memory_mb": round(_peak_mb(device) - before_mb, 1),
        "parameters_m": round(sum(p.numel() for p in model.parameters()) / 1e6, 2),
    }


def _precision(variant: str, device: torch.device) -> AbstractContextManager[Any]:
    if "bf16" in variant:
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()


def _times(
    call: Callable[[torch.Tensor], torch.Tensor],
    image: torch.Tensor,
    device: torch.device,
    seconds: float,
) -> list[float]:
    """Return the milliseconds of each of the calls that ``seconds`` allow."""
    times = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not times:
        if device.type == "cuda":
            events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            events[0].record()
            call(image)
            events[1].record()
            torch.cuda.synchronize(device)
            times.append(events[0].elapsed_time(events[1]))
        else:
            start = time.perf_counter()
            call(image)
            times.append((time.perf_counter() - start) * 1e3)
    return times


def _peak_mb(device: torch.device) -> float:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    # Not getrusage: what it says begins with the parent's peak.
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) / 2**10


def _row(
    network: str, variant: str, device: torch.device, threads: int, size: tuple[int, int]
) -> dict[str, Any]:
    """Measure one row in a process of its own; the reason when it cannot be."""
    row = {"network": network, "device": str(device), "threads": threads, "variant": variant}
    reason = _unable(variant, device)
    if reason:
        return {**row, "skipped": reason}
    words = [network, variant, str(device), str(threads), str(size[0]), str(size[1])]
    command = [sys.executable, str(Path(__file__).resolve()), "--row", *words]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ROW_LIMIT_S)
    except subprocess.TimeoutExpired:
        return {**row, "skipped": f"took longer than {_ROW_LIMIT_S:.0f} s"}
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["no message"]
        return {**row, "skipped": lines[-1][:200]}
    return {**row, **json.loads(done.stdout.splitlines()[-1])}


def _unable(variant: str, device: torch.device) -> str:
    """Return why a variant cannot run here, "" where it can."""
    if "compile" in variant and device.type == "cpu" and not _compiler():
        return "torch.compile needs a C++ compiler (g++ or clang++)"
    if "bf16" in variant and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return "this GPU has no bfloat16"
    return ""


def _compiler() -> str | None:
    return shutil.which("g++") or shutil.which("clang++")


def _one_row(words: list[str]) -> None:
    network, variant, device, threads, height, width = words
    torch.set_num_threads(int(threads))
    size = (int(height), int(width))
    print(json.dumps(measure(network, variant, resolve_device(device), size)))


def _line(row: dict[str, Any]) -> str:
    head = f"{row['network']:20} {row['device']:7} {row['threads']} thr  {row['variant']:19}"
    if "skipped" in row:
        return f"{head} skipped: {row['skipped']}"
    return (
        f"{head} {row['ms_p50']:8.2f} ms  p95 {row['ms_p95']:8.2f}  "
        f"{row['images_per_s']:7.1f} /s  {row['memory_mb']:7.1f} MB"
    )


def main() -> int:
    """Measure and print every row, then write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=list(ARCHITECTURES))
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--row", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        _one_row(options.row)
        return 0
    places = [(torch.device("cpu"), threads) for threads in options.threads]
    if torch.cuda.is_available():
        places.append((torch.device("cuda"), torch.get_num_threads()))
    else:
        print("no CUDA device here: CPU only")
    rows = []
    for network in options.networks:
        for device, threads in places:
            for variant in options.variants:
                size = (options.height, options.width)
                rows.append(_row(network, variant, device, threads, size))
                print(_line(rows[-1]), flush=True)
    machine = machine_line(" and ".join(sorted({row["device"] for row in rows})))
    print(machine)
    if options.json:
        figures = {"width": options.width, "height": options.height, "rows": rows}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures | {"machine": machine}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
