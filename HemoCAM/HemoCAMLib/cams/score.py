"""ScoreCAM: a channel's weight is the score of the input seen through it. Wang et al., CVPR Workshops 2020."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..steps import Step, Steps
from .capture import Capture
from .stages import Chain, walk

if TYPE_CHECKING:
    from torch import Tensor


def score_weights(chain: Chain, captured: Capture, stage: int, chunk: int, half: bool) -> Steps[Tensor]:
    """Softmax over the channels of the masked inputs' scores, (n, C), as in pytorch-grad-cam.

    Each channel is resized to the input (bilinear, corners aligned) and stretched to 0..1; the input times that
    mask goes through the network. There is no exact shortcut: one forward a channel. The softmax of scores that
    differ by a few logits over a hundred channels and more is nearly uniform, so the map is close to the mean of the
    activations, whatever the target.

    Parameters
    ----------
    chain:
        The network, folded or not; in bfloat16 if ``half``.
    captured:
        Its activations at ``stage`` and the input.
    stage:
        Counted from 1.
    chunk:
        Channels at once.
    half:
        Hand the masked inputs over in bfloat16. The masks and the softmax are float32.
    """
    import torch
    from torch.nn import functional

    batch, activations = captured.batch, captured.activations[stage]
    count, channels = activations.shape[:2]
    kind = torch.bfloat16 if half else batch.dtype
    with torch.inference_mode(False):
        scores = activations.new_empty(count, channels)
    for n, target in enumerate(captured.targets):
        for start in range(0, channels, chunk):
            told = Step("ScoreCAM", n * channels + start, count * channels)
            yield told
            with torch.inference_mode():
                masks = functional.interpolate(
                    activations[n : n + 1, start : start + chunk],
                    size=batch.shape[-2:],
                    mode="bilinear",
                    align_corners=True,
                )[0]
                low, high = masks.amin((1, 2), keepdim=True), masks.amax((1, 2), keepdim=True)
                masks = (masks - low) / (high - low + 1e-8)
                seen = (batch[n : n + 1] * masks[:, None]).to(kind, memory_format=torch.channels_last)
            logits = yield from walk(chain.path(0), seen, torch.inference_mode, told)
            with torch.inference_mode():
                scores[n, start : start + chunk] = target.sign * logits[:, target.class_index].float()
    with torch.inference_mode(False):
        return scores.softmax(-1)
