"""Hemorrhages of five kinds: in which order they bleed, how often in several places, and what they look like."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from .bleeding import Bleeding, Head, Story, pour
from .extraaxial import epidural, subdural
from .fluidspaces import intraventricular, subarachnoid
from .intraaxial import intraparenchymal
from .population import KINDS, draw_kinds, draw_ml, log_uniform
from .tissues import draw_hu

MAKERS = dict(zip(KINDS, (epidural, intraparenchymal, intraventricular, subarachnoid, subdural), strict=True))

# Order of bleeding: the first push the brain aside, the last fill what is left. How often a kind has two or
# three foci (contusions, both sides), where no volume is asked for.
_ORDER = ("intraparenchymal", "epidural", "subdural", "intraventricular", "subarachnoid")
_SEVERAL = dict(zip(_ORDER, (0.18, 0.04, 0.18, 0.0, 0.2), strict=True))


# How often blood of a kind shows a fluid level, and clouds of other density, if there is enough of it.
_SERUM = dict(zip(_ORDER, (0.1, 0.04, 0.12, 0.0, 0.0), strict=True))
_SWIRL = dict(zip(_ORDER, (0.25, 0.35, 0.3, 0.15, 0.0), strict=True))
_LARGE_ML = 8.0


def bleed(
    head: Head,
    kinds: tuple[str, ...] | None,
    lesion_ml: tuple[float, float] | None,
    rng: np.random.Generator,
    texture: np.random.Generator,
    without: tuple[str, ...] = (),
) -> tuple[dict[str, Tensor], list[dict]]:
    """Pour hemorrhages into ``head``, in place.

    Parameters
    ----------
    head:
        Without blood.
    kinds, lesion_ml, without:
        As in :class:`.spec.PatientSpec`.
    rng, texture:
        Draw the hemorrhages, and what is inside them: fluid levels and swirls.

    Returns
    -------
    dict, list
        Share (0..1) of each kind in the voxels of the sub-slices, and the descriptions as JSON values.
    """
    kinds = draw_kinds(rng) if kinds is None else kinds
    if not kinds:
        return {}, []
    split = rng.dirichlet([2.0] * len(kinds))
    if lesion_ml:
        total = log_uniform(rng, *lesion_ml)
        wished = {kind: total * part for kind, part in zip(kinds, split, strict=True)}
    else:
        wished = {kind: draw_ml(rng, kind) for kind in kinds}
    shares, found = {}, []
    story = Story(tuple(kinds), tuple(without))
    for kind in sorted(kinds, key=_ORDER.index):
        share = torch.zeros_like(head.hu)
        several = rng.random() < _SEVERAL[kind] and lesion_ml is None
        for part in rng.dirichlet([1.5] * int(rng.integers(2, 4))) if several else [1.0]:
            ml = float(max(wished[kind] * part, 0.3))
            bleeding = MAKERS[kind](head, rng, ml, story)
            if bleeding is None:
                continue
            _draw_texture(bleeding, kind, ml, texture)
            if "lesion_texture" in without:
                bleeding.mottle_hu, bleeding.serum, bleeding.swirl = 0.0, None, None
            poured = pour(head, bleeding, ml, rng)
            share[bleeding.window].clamp_(min=poured)
            found.append(
                {"kind": kind, "wished_ml": ml, "hu": bleeding.hu, **bleeding.place, **bleeding.inside()}
            )
        shares[kind] = share
    return shares, found


def _draw_texture(bleeding: Bleeding, kind: str, ml: float, rng: np.random.Generator) -> None:
    picks, part, hu = rng.random(2), rng.uniform(0.15, 0.55), draw_hu(rng, "serum")
    pitch, loss = rng.uniform(4, 11), rng.uniform(8, 28)
    if ml > _LARGE_ML and picks[0] < _SERUM[kind]:
        bleeding.serum = (float(part), hu)
    if ml > _LARGE_ML and picks[1] < _SWIRL[kind]:
        bleeding.swirl = (float(pitch), float(loss))
