"""What the parts of the package cost on a GPU, in about a minute.

    python bench/gpu.py --device cuda --out out/gpu
    python bench/gpu.py --device cpu --quick          # does everything run? small sizes

Times are medians of single calls between events, after a warm-up; memory is the most that torch
had allocated. A part that fails prints its error, and the others go on. Writes ``gpu.json`` and
``gpu.md`` into the folder and prints the table.
"""

from __future__ import annotations

import argparse
import json
import time
import traceback
from pathlib import Path
from typing import Any

import torch
from gpu_cases import CASES, Bench, Row

from e2e_slam_ros.config.device import resolve_device
from e2e_slam_ros.data.atomic import write_text_atomic
from e2e_slam_ros.evaluation.machine import machine_line

# Lines of an error that are printed.
_SHOWN = 6


def measured(name: str, bench: Bench) -> list[Row]:
    """Return the rows of one part; after an error those before it, and the error."""
    rows: list[Row] = []
    start = time.perf_counter()
    try:
        for row in CASES[name](bench):
            rows.append({"part": name, **row})
            print(line(rows[-1]), flush=True)
    except (Exception, SystemExit):
        lines = traceback.format_exc().strip().splitlines()[-_SHOWN:]
        print(f"{name} failed:", *lines, sep="\n    ", flush=True)
        rows.append({"part": name, "what": f"{name} failed", "note": lines[-1].strip()[:160]})
    print(f"({name}: {time.perf_counter() - start:.1f} s)", flush=True)
    if bench.device.type == "cuda":
        torch.cuda.empty_cache()
    return rows


def line(row: Row) -> str:
    """Return a row of the Markdown table."""
    cells = [row["what"], *(_text(row.get(key)) for key in ("ms", "per_s", "peak_mb"))]
    return "| " + " | ".join([*cells, row.get("goal", ""), row.get("note", "")]) + " |"


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def table(rows: list[Row]) -> str:
    """Return the figures as Markdown."""
    head = ["| | ms | images/s | MB | goal | |", "|---|---:|---:|---:|---|---|"]
    return "\n".join([*head, *map(line, rows)])


def main() -> int:
    """Measure every part, print the table, write the files; 1 where a part failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--only", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--seconds", type=float, default=0.4, help="for each row")
    parser.add_argument("--limit", type=float, default=600.0, help="no new part after it, seconds")
    parser.add_argument("--quick", action="store_true", help="small sizes, one call")
    parser.add_argument("--out", type=Path, help="folder for gpu.json and gpu.md")
    options = parser.parse_args()
    device = resolve_device(options.device)
    bench = Bench(device, 0.0 if options.quick else options.seconds, options.quick)
    start, rows = time.perf_counter(), []
    for name in options.only:
        if time.perf_counter() - start < options.limit:
            rows += measured(name, bench)
        else:
            rows.append({"part": name, "what": f"{name} not measured", "note": "no time left"})
        if options.out:
            _write(options.out, rows, device)
    print(table(rows))
    print(_machine(device))
    return int(any("failed" in row["what"] for row in rows))


def _write(folder: Path, rows: list[Row], device: torch.device) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {"machine": _machine(device), "rows": rows}
    write_text_atomic(folder / "gpu.json", json.dumps(figures, indent=1) + "\n")
    write_text_atomic(folder / "gpu.md", f"{table(rows)}\n\n{_machine(device)}\n")


def _machine(device: torch.device) -> str:
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)
    return machine_line(name)


if __name__ == "__main__":
    raise SystemExit(main())
