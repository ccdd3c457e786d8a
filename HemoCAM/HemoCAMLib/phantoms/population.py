"""Who comes to the scanner: which hemorrhages occur, together with which others, and how large they are."""

from __future__ import annotations

import numpy as np

KINDS = ("epidural", "intraparenchymal", "intraventricular", "subarachnoid", "subdural")

# Part of patients without a hemorrhage.
HEALTHY = 0.5

# Which hemorrhages a bleeding patient has, and how many of a thousand have exactly these: hypertensive bleeds
# that break into the ventricles, aneurysms, and trauma with several kinds at once. Kinds are less unequal than
# in a hospital (epidurals would be too rare to learn), combinations follow their causes.
COMBINATIONS = {
    ("intraparenchymal",): 225,
    ("intraparenchymal", "intraventricular"): 150,
    ("subdural",): 140,
    ("epidural",): 95,
    ("subarachnoid",): 95,
    ("intraventricular",): 45,
    ("intraventricular", "subarachnoid"): 45,
    ("subarachnoid", "subdural"): 45,
    ("intraparenchymal", "subarachnoid"): 40,
    ("intraparenchymal", "subdural"): 25,
    ("epidural", "subarachnoid"): 15,
    ("epidural", "subdural"): 15,
    ("epidural", "intraparenchymal"): 10,
    ("intraparenchymal", "subarachnoid", "subdural"): 25,
    ("intraparenchymal", "intraventricular", "subarachnoid"): 20,
    ("epidural", "intraparenchymal", "subdural"): 10,
}

# Volumes in ml: the usual range, and the tail of small ones with its share. For hematomas in the tissue
# Broderick et al., Stroke 24 (1993), separate small, middle and large at 30 and 60 ml.
_ML = {
    "epidural": ((8.0, 100.0), (0.8, 8.0), 0.3),
    "intraparenchymal": ((6.0, 110.0), (0.3, 6.0), 0.4),
    "intraventricular": ((4.0, 40.0), (0.4, 4.0), 0.35),
    "subarachnoid": ((6.0, 60.0), (0.4, 6.0), 0.4),
    "subdural": ((12.0, 120.0), (1.0, 12.0), 0.38),
}


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_kinds(rng: np.random.Generator, healthy: float = HEALTHY) -> tuple[str, ...]:
    """Draw the hemorrhages of a patient: none for a part ``healthy`` of them, else one to three kinds."""
    bleeds, pick = rng.random() >= healthy, rng.random()
    if not bleeds:
        return ()
    weights = np.cumsum(list(COMBINATIONS.values()))
    return list(COMBINATIONS)[int(np.searchsorted(weights, pick * weights[-1], side="right"))]


def draw_ml(rng: np.random.Generator, kind: str) -> float:
    """Draw the volume in ml of a hemorrhage: mostly of the usual size, some small."""
    usual, small, share = _ML[kind]
    return log_uniform(rng, *(small if rng.random() < share else usual))
