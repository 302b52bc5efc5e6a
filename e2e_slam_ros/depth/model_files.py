"""The small files beside a published model: JSON, and the licence in its card."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from e2e_slam_ros.config.errors import DepthError

CONFIG = "config.json"
_CARD = "README.md"
_LONGEST = 1 << 20


def read_json(path: Path) -> dict[str, object]:
    """Return the object in a JSON file.

    Raises:
        DepthError: the file is missing, or holds something else.
    """
    do = "download the whole folder again, with config.json and preprocessor_config.json"
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LONGEST))
    except FileNotFoundError:
        got = "no such file"
    except (OSError, ValueError, RecursionError) as problem:
        got = f"an unreadable file ({type(problem).__name__}: {str(problem)[:100]})"
    else:
        if isinstance(content, dict):
            return content
        got = f"a {type(content).__name__}"
    raise DepthError.from_parts(f"depth network {path}", got, "a JSON object", do)


def licence_in(folder: Path) -> str:
    """Return the licence that a model's card names, "" where it names none."""
    try:
        with (folder / _CARD).open(encoding="utf-8") as file:
            text = file.read(_LONGEST)
        head = text.split("---", 2)[1] if text.startswith("---") else ""
        card = yaml.safe_load(head)
    except (OSError, ValueError, IndexError, RecursionError, yaml.YAMLError):
        return ""
    if not isinstance(card, dict):
        return ""
    licence = str(card.get("license") or "")
    return str(card.get("license_name") or licence) if licence == "other" else licence


def licence_notices(folder: Path, licence: str, large: bool = False) -> tuple[str, ...]:
    """Return the warning where a model is not for commercial use.

    Args:
        folder: of the model.
        licence: that its card names, or "".
        large: it is built as the Base and Large networks of Depth Anything, whose second version
            is not for commercial use.
    """
    if "nc" in licence.lower().replace("_", "-").split("-"):
        return (
            f"depth network {folder.name}: its licence is {licence}. It is not for commercial "
            "use; Depth Anything V2's Small networks are Apache-2.0",
        )
    if large and not licence:
        return (
            f"depth network {folder.name}: its folder names no licence. The Base and Large "
            "networks of Depth Anything V2 are CC-BY-NC-4.0, not for commercial use",
        )
    return ()
