"""What the training asks for: right slice labels, and evidence where the blood is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812

from ..phantoms.patient import KINDS

if TYPE_CHECKING:
    from ..volumes.headgrid import Cells

# A cell counts as bleeding from this share of its area on; below, its negative evidence is not pushed further.
_COVERED = 0.02
# Evidence m of a cell stands for the probability sigmoid(2 m - 4) of half or more of it being blood: 0 for
# "no word" is 2 % of it, 2 an even chance.
_SLOPE, _ZERO = 2.0, -4.0
_QUIET = 0.02  # weight of the penalty on background that argues against blood


def slice_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor,
    positive_weight: torch.Tensor,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """Binary cross-entropy a class, the mean over slices and classes.

    Parameters
    ----------
    logits, targets, weights:
        Shape (n, classes); targets 0 or 1; weight 0 where nothing is known.
    positive_weight:
        Factor on the positives of each class, shape (classes,).
    smoothing:
        Targets become ``smoothing`` and ``1 - smoothing``.
    """
    wanted = targets * (1 - 2 * smoothing) + smoothing
    return F.binary_cross_entropy_with_logits(logits, wanted, weight=weights, pos_weight=positive_weight)


def evidence_loss(evidence: torch.Tensor, covered: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Ask that what a cell adds to the logit be there where the blood is, and nowhere else.

    Binary cross-entropy of sigmoid(2 M - 4) against the share of the cell that is blood. Clean cells are pushed
    down only while they speak for blood (M > 0), with a small quadratic penalty on those that speak against it:
    the sum over cells, the logit, must be free to be negative, yet not by a debt that the blood's cells must
    pay off.

    M is HiResCAM of the final feature map, so the map's meaning is trained by its own definition (Draelos and
    Carin 2020, who train with a loss on HiResCAM within organ masks). Masks have trained maps before: Li et
    al., "Tell me where to look: guided attention inference network", 2018; Linsley et al., "Learning what and
    where to attend", 2019.

    Parameters
    ----------
    evidence:
        M, shape (n, classes, rows, columns); see :class:`~.trainee.Trainee`.
    covered:
        Share 0..1 of each cell that is blood of the class, the same shape; see :func:`coverage`.
    weights:
        Shape (n, classes): 0 where no label map is known.

    Returns
    -------
    torch.Tensor
        Mean over slices and classes of the mean over cells, a scalar.
    """
    bleeding = covered > _COVERED
    argued = _SLOPE * torch.where(bleeding, evidence, evidence.clamp_min(0)) + _ZERO
    loss = F.binary_cross_entropy_with_logits(argued, covered, reduction="none")
    loss = loss + _QUIET * torch.where(bleeding, 0.0, evidence.clamp_max(0)) ** 2
    return (loss.mean((2, 3)) * weights).mean()


def class_masks(labels: torch.Tensor, classes: tuple[str, ...]) -> torch.Tensor:
    """Turn a label map, (n, h, w), 0 or index in KINDS + 1, into masks a class, float32 (n, classes, h, w)."""
    wanted = [labels > 0 if name == "any" else labels == KINDS.index(name) + 1 for name in classes]
    return torch.stack(wanted, dim=1).float()


def coverage(masks: torch.Tensor, cells: Cells, count: int) -> torch.Tensor:
    """Average masks over a square of one pitch around each cell's centre; beyond the picture is nothing.

    Parameters
    ----------
    masks:
        Shape (n, classes, size, size), 0..1.
    cells:
        Centres of the cells in pixels, and their pitch; whole or not.
    count:
        Cells along each edge.

    Returns
    -------
    torch.Tensor
        Shape (n, classes, count, count), 0..1.
    """
    device = masks.device
    start = (
        cells.first + cells.pitch * torch.arange(count, device=device, dtype=torch.float32) - cells.pitch / 2
    )
    pixel = torch.arange(masks.shape[-1], device=device, dtype=torch.float32) - 0.5  # its lower edge
    overlap = torch.minimum((start + cells.pitch)[:, None], pixel + 1) - torch.maximum(start[:, None], pixel)
    share = overlap.clamp_min(0) / cells.pitch
    return share @ masks @ share.T
