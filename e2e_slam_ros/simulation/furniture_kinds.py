"""The kind of furniture that a catalogue's model is, by its name, category and size."""

from __future__ import annotations

import re

# The archive stores a kind as its place in this tuple.
KINDS = (
    "seat", "sofa", "table", "desk", "bed", "cupboard", "shelf", "appliance", "lamp",
    "table_lamp", "hanging_lamp", "plant", "pot_plant", "small", "electronics", "wall", "thing",
    "kitchen", "bathroom", "person", "floor",
)  # fmt: skip

_LARGEST_M, _SMALLEST_M = 3.2, 0.06
_OTHER_CATEGORIES = ("doors and windows", "vehicles", "staircases")
_LEFT_OUT = re.compile(
    r"door\b(?!.*cabinet)|window|shower|curtain|rail|fence|socket|plug|switch|\bbill\b|umbrella|"
    r"lamppost|street|park|chimney|container|swimming|jacuzzi|sidewalk|column|escalator|elevator|"
    r"snowman|fountain|rowboat|hydrant|motorbike|swing|seesaw|hut|stone lantern|rock$|pool lounge|"
    r"beach|deck chair|barrow|goal|basketball net|trampoline|tent|hammock|porch|sitting|lying|"
    r"horse|screen$|blind|fireplace|hanging clothes|antenna|snow"
)
# The first expression that the name has decides.
_NAMES = (
    ("seat", r"\b(arm)?chair|stool|\bseat\b|ottoman|puff|bench\b|wheelchair"),
    ("sofa", r"sofa|couch|day bed"),
    ("desk", r"desk(?! lamp)|technical table|wooden .*table|office table"),
    ("table", r"\btable\b(?! (fan|tennis))(?!.*tennis)|coffee table|bedside|trestles|island$"),
    ("bed", r"\bbed$|crib|mezzanine"),
    ("shelf", r"bookcase|shelves|book ?shelf|clothes rack"),
    ("kitchen", r"(lower|sink|drawers|high|corner|cooker|island).*(cabinet|extension)|^sink$|"
                r"(large )?stove$|^oven|double oven|^cooktop"),
    ("cupboard", r"wardrobe|cupboard|cabinet|dresser|chest\b(?! freezer)|vanity|safe|tv stand|"
                 r"contemporary living|dressing table|changing table|piano$"),
    ("bathroom", r"washbasin|toilets|bidet|urinal|bath(tub)?$|lavatory|basin"),
    ("appliance", r"fridge|refrigerator|washing machine|dryer|freezer|boiler|cooler|furnace"),
    ("hanging_lamp", r"hanging light|pendant|chandelier|ceiling|fluorescent|track"),
    ("electronics", r"^tv|imac|ibook|laptop|printer|keyboard$|phone|stereo|radio|player|speaker|"
                    r"microwave|small oven|toaster|brewer|coffee (machine|maker)|projector|mp3"),
    ("pot_plant", r"plant|flowers|orchid|cactus|tulip|lily|bonsai|bamboo|succulent|ficus|yucca|"
                  r"spathiphyllum|arbolito|christmas tree|bush"),
    ("floor", r"carpet|rug$|mat$|tatami|futon$|air mattress"),
)  # fmt: skip


def furniture_kind(
    name: str, category: str, size_m: tuple[float, float, float], elevation_m: float
) -> str | None:
    """Return the kind of a model, one of `KINDS`, or None where a room should not hold it.

    >>> furniture_kind("Corner sofa", "Living room", (2.3, 1.4, 0.8), 0.0)
    'sofa'
    >>> furniture_kind("Garage door", "Doors and windows", (4.4, 0.3, 2.2), 0.0) is None
    True
    """
    text, group = name.lower(), category.lower()
    wide, deep, high = size_m
    if group in _OTHER_CATEGORIES or _LEFT_OUT.search(text):
        return None
    if max(size_m) > _LARGEST_M or max(size_m) < _SMALLEST_M or high > 2.4:
        return None
    if group == "characters":
        return "person" if high > 1.5 and max(wide, deep) < 0.9 else None
    if group == "exterior" and max(wide, deep) > 2.0:
        return None
    kind = next((kind for kind, pattern in _NAMES if re.search(pattern, text)), None)
    if kind == "hanging_lamp" or (group == "lights" and elevation_m > 1.0):
        return "hanging_lamp" if elevation_m > 1.0 else None
    if elevation_m > 0.15:
        return "wall"
    if group == "lights" or "lamp" in text:
        return "lamp" if high > 1.0 else "table_lamp"
    if kind == "pot_plant":
        return "plant" if high > 0.6 else "pot_plant"
    if kind == "electronics" and max(size_m) > 0.9:
        return "thing"
    if kind is not None:
        return kind
    if max(wide, deep) <= 0.6 and high <= 0.6:
        return "small"
    return "thing" if high > 0.1 else None
