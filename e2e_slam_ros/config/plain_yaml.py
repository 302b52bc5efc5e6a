"""YAML that stays as small as its text."""

from __future__ import annotations

from typing import Any

import yaml


class PlainLoader(yaml.SafeLoader):
    r"""Reads YAML without aliases. A few lines of aliases can stand for billions of values.

    >>> yaml.load("a: [1, 2]", PlainLoader)
    {'a': [1, 2]}
    >>> yaml.load("a: &x [1]\nb: *x", PlainLoader)
    Traceback (most recent call last):
        ...
    yaml.composer.ComposerError: aliases (*x) are not used here: write the value out
      in "<unicode string>", line 2, column 4:
        b: *x
           ^
    """

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuse an alias; else compose as usual."""
        if self.check_event(yaml.AliasEvent):
            event: Any = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None,
                None,
                f"aliases (*{event.anchor}) are not used here: write the value out",
                event.start_mark,
            )
        try:
            return super().compose_node(parent, index)
        except RecursionError as error:
            raise yaml.YAMLError("values nested too deeply") from error


def load_plain_yaml(text: str) -> Any:
    """Return the content of a YAML text.

    Raises:
        yaml.YAMLError: no YAML, an alias, or values nested too deeply.
    """
    return yaml.load(text, PlainLoader)
