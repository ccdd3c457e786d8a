"""What the training asks for: right slice labels, and evidence where the blood is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812

from ..phantoms.patient import KINDS

if TYPE_CHECKING:
    from ..volumes.headgrid import Cells

# Evidence e of a cell stands for the probability sigmoid(e - 3) that it is blood: a cell that says nothing is
# blood in one case of twenty, and even odds need evidence that outweighs a good part of the picture.
EVEN = 3.0
_POSITIVE = 3.0  # blood is rare: a covered cell counts for so many clean ones


def slice_loss(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """Binary cross-entropy a class, the mean over slices and classes.

    Parameters
    ----------
    logits, targets, weights:
        Shape (n, classes); targets 0 or 1; weight 0 where nothing is known.
    smoothing:
        Targets become ``smoothing`` and ``1 - smoothing``.
    """
    wanted = targets * (1 - 2 * smoothing) + smoothing
    return F.binary_cross_entropy_with_logits(logits, wanted, weight=weights)


def evidence_loss(evidence: torch.Tensor, covered: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Ask that what a cell adds to the logit be there where the blood is, and nowhere else.

    Binary cross-entropy of sigmoid(e - 3) against the share of the cell that is blood, covered cells weighing
    three times. The evidence e is HiResCAM of the final feature map (times the number of cells), so the map's
    meaning is trained by its own definition: Draelos and Carin 2020, who train with a loss on HiResCAM within
    organ masks. Masks have trained maps before: Li et al., "Tell me where to look: guided attention inference
    network", 2018; Linsley et al., "Learning what and where to attend", 2019.

    Parameters
    ----------
    evidence:
        e, shape (n, classes, rows, columns); see :class:`~.trainee.Trainee`.
    covered:
        Share 0..1 of each cell that is blood of the class, the same shape; see :func:`coverage`.
    weights:
        Shape (n, classes): 0 where no label map is known.

    Returns
    -------
    torch.Tensor
        Mean over slices and classes of the mean over cells, a scalar.
    """
    rare = evidence.new_tensor(_POSITIVE)
    loss = F.binary_cross_entropy_with_logits(evidence - EVEN, covered, reduction="none", pos_weight=rare)
    return (loss.mean((2, 3)) * weights).mean()


def overlap_loss(evidence: torch.Tensor, covered: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice coefficient of sigmoid(e - 3) and the blood, the mean over what bleeds.

    2 sum(p q) / (sum(p p) + sum(q q)), Milletari et al., "V-Net", 2016. It looks at small bleeds as closely as at
    large ones. Arguments as for :func:`evidence_loss`; slices and classes without a tenth of a cell of blood do
    not count. Between 0 and 1; 0 where nothing counts.
    """
    p = torch.sigmoid(evidence - EVEN)
    counts = (weights > 0) & (covered.sum((2, 3)) > 0.1)
    both = (p * covered).sum((2, 3))
    dice = (2 * both + 0.1) / ((p * p).sum((2, 3)) + (covered * covered).sum((2, 3)) + 0.1)
    return ((1 - dice) * counts).sum() / counts.sum().clamp_min(1)


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
