"""ScoreCAM: a channel's weight is the score of the input seen through it. Wang et al., CVPR Workshops 2020."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ..steps import Step, Steps
from .capture import Capture
from .way import Way

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def score_weights(way: Way, captured: Capture, stage: int, half: bool) -> Steps[Tensor]:
    """Softmax over the channels of the masked inputs' scores, (n, C), as in pytorch-grad-cam.

    Each channel is resized to the input (bilinear, corners aligned) and stretched to 0..1; the input times that
    mask goes through the network. There is no exact shortcut: one forward a channel. The softmax of scores that
    differ by a few logits over a hundred channels and more is nearly uniform, so the map is close to the mean of the
    activations, whatever the target.

    Parameters
    ----------
    way:
        From the input to the logits; in bfloat16 if ``half``.
    captured:
        The activations at ``stage`` and the input.
    stage:
        Counted from 1.
    half:
        Hand the masked inputs over in bfloat16. The masks and the softmax are float32.
    """
    import torch

    batch, activations = captured.batch, captured.activations[stage]
    count, channels = activations.shape[:2]
    kind = torch.bfloat16 if half else batch.dtype
    with torch.inference_mode(False):
        scores = activations.new_empty(count, channels)
    for n, target in enumerate(captured.targets):
        seen = partial(_seen, batch[n : n + 1], activations[n : n + 1], kind)
        found = yield from way.scores(
            channels,
            seen,
            target,
            lambda start, n=n: Step("ScoreCAM", n * channels + start, count * channels),
        )
        with torch.inference_mode():
            scores[n] = found
    with torch.inference_mode(False):
        return scores.softmax(-1)


def _seen(picture: Tensor, activations: Tensor, kind: torch.dtype, start: int, stop: int) -> Tensor:
    """One input (1, c, H, W) seen through its channels start..stop-1, (stop - start, c, H, W), channels last."""
    import torch
    from torch.nn import functional

    # one channel after the other in memory, whatever the layout of the activations: several times faster from here on
    channels = activations[:, start:stop].contiguous(memory_format=torch.contiguous_format)
    masks = functional.interpolate(channels, size=picture.shape[-2:], mode="bilinear", align_corners=True)[0]
    low, high = masks.amin((1, 2), keepdim=True), masks.amax((1, 2), keepdim=True)
    masks = (masks - low) / (high - low + 1e-8)
    return (picture * masks[:, None]).to(kind, memory_format=torch.channels_last)
