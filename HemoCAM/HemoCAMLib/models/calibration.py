"""From logits to probabilities: of a slab, seen with its neighbors, and of a whole head."""

from __future__ import annotations

import numpy as np

from .manifest import Manifest


def smoothed_logits(logits: np.ndarray, weight: float, intracranial: np.ndarray | None = None) -> np.ndarray:
    """Average each slab's logits with those of its neighbors: (1 - 2 w) z + w (below + above).

    Parameters
    ----------
    logits:
        All slabs of one head in canonical order, shape (n, classes).
    weight:
        w, 0..0.5.
    intracranial:
        Bool, shape (n,): slabs that show something of the intracranial space. One that does not (or that is
        missing, at the ends) says nothing of its neighbors: the slab itself stands in.

    Returns
    -------
    numpy.ndarray
        Shape (n, classes).
    """
    if not weight:
        return logits
    counts = np.ones(len(logits), bool) if intracranial is None else intracranial
    result = (1 - 2 * weight) * logits
    for step in (-1, 1):
        row = np.clip(np.arange(len(logits)) + step, 0, len(logits) - 1)
        result = result + weight * np.where(counts[row][:, None], logits[row], logits)
    return result


def probabilities(logits: np.ndarray, manifest: Manifest) -> np.ndarray:
    """Calibrated probabilities 0..1 of logits (n, classes): sigmoid(slope * logit + intercept) per class.

    Platt, "Probabilistic outputs for support vector machines", 1999.
    """
    from scipy.special import expit

    slope, intercept, _ = np.array([manifest.calibration[c] for c in manifest.classes]).T
    return expit(logits * slope + intercept)


def slab_probabilities(
    logits: np.ndarray, manifest: Manifest, intracranial: np.ndarray | None = None
) -> np.ndarray:
    """Calibrated probabilities 0..1 of all slabs of one head, shape (n, classes).

    The logits are smoothed as the manifest says. A slab without intracranial content has probability 0 by
    construction: blood in the head lies inside the skull. Arguments as for :func:`smoothed_logits`.
    """
    found = probabilities(smoothed_logits(logits, manifest.neighbor_weight, intracranial), manifest)
    return found if intracranial is None else np.where(intracranial[:, None], found, 0.0)


def head_logit(
    logits: np.ndarray, manifest: Manifest, target: str, intracranial: np.ndarray | None = None
) -> float:
    """Largest smoothed logit of the class ``target`` over the slabs of one head; -inf if none counts."""
    z = smoothed_logits(logits, manifest.neighbor_weight, intracranial)[:, manifest.class_index(target)]
    return float(max(z if intracranial is None else z[intracranial], default=-np.inf))


def head_probability(
    logits: np.ndarray, manifest: Manifest, intracranial: np.ndarray | None = None
) -> float | None:
    """Calibrated probability that a head bleeds, 0..1; None if the model has no calibration of heads.

    sigmoid(slope * z + intercept) of the largest smoothed logit z of the default target class. Arguments as for
    :func:`smoothed_logits`.
    """
    from scipy.special import expit

    if manifest.head is None:
        return None
    slope, intercept, _ = manifest.head
    return float(expit(slope * head_logit(logits, manifest, manifest.target, intracranial) + intercept))
