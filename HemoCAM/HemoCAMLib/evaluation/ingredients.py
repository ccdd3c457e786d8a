"""What an ablation can leave out: groups of the generator's features, and ingredients of the training."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from ..phantoms.spec import GROUPS
from ..training.recipe import Recipe

INGREDIENTS = {
    "captures": "screen captures among the training slices: slices in HU alone",
    "evidence": "the losses that ask for evidence on the blood: the slices' labels alone, as in the paper",
    "windows": "all windows of a slab but the first: the brain window alone",
    "neighbors": "the slabs below and above: each slab by itself",
    "intracranial": "the filling of all that lies outside the skull: the whole slice",
}
PARTS = {**GROUPS, **INGREDIENTS}


def generator_part(parts: Iterable[str]) -> tuple[str, ...]:
    """Of names of :data:`PARTS`, those that the generator leaves out."""
    return tuple(part for part in parts if part in GROUPS)


def without(recipe: Recipe, blueprint: dict, parts: Iterable[str]) -> tuple[Recipe, dict]:
    """Return recipe and manifest content (a copy) without those of ``parts`` that are ingredients."""
    content = json.loads(json.dumps(blueprint))
    if "captures" in parts:
        recipe = replace(recipe, captures=0.0)
    if "evidence" in parts:
        recipe = replace(recipe, evidence=0.0, overlap=0.0)
    channels = list(enumerate(window.get("slab", 0) for window in content["input"]["windows"]))
    own = [k for k, slab in channels if slab == 0][: 1 if "windows" in parts else None]
    others = [] if "neighbors" in parts else [k for k, slab in channels if slab != 0]
    for name in ("windows", "mean", "std"):
        content["input"][name] = [content["input"][name][k] for k in sorted(own + others)]
    if "intracranial" in parts:
        content["input"].pop("outside", None)
    return recipe, content
