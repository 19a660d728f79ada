"""Fields that came after studies had been run, and what fingerprints make of them."""

from collections.abc import Mapping
from typing import Any

# Their values without effect: what holds one of these is what it was before there was the field, and an older study's
# stored results stand.
_LATER_FIELDS: Mapping[str, object] = {
    "accumulate": 1,
    "assistants": [],
    "balanced": [],
    "cutout_pixels": 0,
    "executions": "measured",
    "flip": False,
    "max_norm": None,
    "metrics": [],
    "milestone_decay": 0.1,
    "milestones": [0.625, 0.75, 0.875],
    "mixup": 0.0,
    "rand_augment": None,
    "num_members": 1,
    "num_views": None,
    "transfer": {"share": 1.0, "label_share": 1.0, "omitted_classes": [], "seed": 0},
    "sha256": [],
    "weights": [],
}


def without_later_fields(data: Any) -> Any:  # JSON data
    """JSON data of a configuration, for fingerprints: without fields that came later, where they are without effect."""
    if isinstance(data, dict):
        return {
            name: without_later_fields(value)
            for name, value in data.items()
            if name not in _LATER_FIELDS or value != _LATER_FIELDS[name]
        }
    return [without_later_fields(each) for each in data] if isinstance(data, list) else data
