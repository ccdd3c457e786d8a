"""The pointing game: is the map highest on the bleeding?"""

from __future__ import annotations

import numpy as np


def peak_inside(heat: np.ndarray, truth: np.ndarray) -> bool:
    """Tell whether the maximum of a map lies in the mask.

    The pointing game of Zhang et al., IJCV 126 (2018) 1084, without its tolerance of 15 pixels. Where several
    pixels share the maximum (maps are stored in steps), half of them must lie inside. A map without any value
    above 0 points nowhere: False.

    Parameters
    ----------
    heat, truth:
        Map and mask of one shape, in two dimensions or three.
    """
    highest = heat.max()
    return bool(highest > 0 and truth[heat == highest].mean() >= 0.5)
