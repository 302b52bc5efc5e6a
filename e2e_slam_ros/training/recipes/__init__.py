"""Settings that training begins with: one YAML file a recipe."""

from __future__ import annotations

from importlib.resources import files

from e2e_slam_ros.config.errors import ConfigError

_SUFFIX = ".yaml"


def recipe_names() -> list[str]:
    """Return the recipes as the command line calls them: "sc-sfm"."""
    names = (item.name for item in files(__name__).iterdir())
    return sorted(n.removesuffix(_SUFFIX).replace("_", "-") for n in names if n.endswith(_SUFFIX))


def recipe_text(name: str) -> str:
    """Return a recipe's YAML.

    Raises:
        ConfigError: there is none of this name.
    """
    item = files(__name__) / (name.replace("-", "_") + _SUFFIX)
    if not item.is_file():
        raise ConfigError.from_parts(
            "recipe", repr(name), "one of " + ", ".join(recipe_names()), "choose one of these"
        )
    return item.read_text(encoding="utf-8")
