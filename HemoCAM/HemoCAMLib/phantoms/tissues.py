"""Densities in HU of tissues and blood, with their sources: the table that the painters draw from.

A range spans what the source reports and what scanners add to it; a patient draws one value from it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Tissue(NamedTuple):
    """Lowest and highest HU of a tissue, and where these numbers are from."""

    low: float
    high: float
    source: str


_USUAL = "Kamalian, Lev, Gupta, Handb Clin Neurol 135 (2016)"
_GREY_WHITE = "Torbey et al., Stroke 31 (2000)"
_CLOT = "New and Aronow, Radiology 121 (1976)"
_FADING = "Dolinskas et al., AJR 129 (1977): clot loses about 1.5 HU a day"
_SUBDURAL = "Lee et al., J Korean Med Sci 12 (1997)"
_SINUS = "Black et al., AJNR 32 (2011)"
_BODY = "Schneider, Pedroni, Lomax, Phys Med Biol 41 (1996)"

TISSUES = {
    "grey matter": Tissue(36, 42, _GREY_WHITE),
    "white matter": Tissue(26, 35, _GREY_WHITE),
    "cerebrospinal fluid": Tissue(2, 14, _USUAL),
    "muscle": Tissue(45, 65, _BODY),
    "fat": Tissue(-115, -85, _BODY),
    "compact bone": Tissue(900, 1700, _BODY),
    "diploe": Tissue(250, 900, _BODY),
    "artery": Tissue(36, 52, "Koo et al., Cerebrovasc Dis 10 (2000)"),
    "dense artery": Tissue(
        53, 75, "Koo et al., Cerebrovasc Dis 10 (2000): above 43 HU and 1.2 times the other side"
    ),
    "artery with contrast": Tissue(110, 280, _USUAL),
    "sinus": Tissue(44, 68, _SINUS),
    "dense sinus": Tissue(64, 84, "Buyck et al., AJNR 34 (2013): thrombosed above 62 HU"),
    "sinus with contrast": Tissue(110, 260, _USUAL),
    "dura": Tissue(42, 64, "Osborn, Anderson, Wing, Radiology 134 (1980)"),
    "dense dura": Tissue(62, 88, "Osborn, Anderson, Wing, Radiology 134 (1980)"),
    "dura with contrast": Tissue(70, 110, _USUAL),
    "hematoma": Tissue(58, 86, _CLOT),
    "subacute hematoma": Tissue(46, 58, _FADING),
    "petechial blood": Tissue(46, 62, _CLOT + "; mixed with swollen tissue within a voxel"),
    "ventricular blood": Tissue(54, 85, _CLOT),
    "subarachnoid blood": Tissue(50, 78, _CLOT),
    "subdural blood": Tissue(52, 86, _SUBDURAL),
    "subacute subdural": Tissue(36, 52, _SUBDURAL),
    "epidural blood": Tissue(55, 88, _CLOT),
    "serum": Tissue(18, 34, "Pfleger et al., AJNR 15 (1994): fluid-blood levels"),
    "postoperative fluid": Tissue(6, 30, _USUAL),
    "titanium": Tissue(1800, 3071, "Coolens and Childs, Phys Med Biol 48 (2003)"),
}


def draw_hu(rng: np.random.Generator, tissue: str) -> float:
    """Draw the density of a tissue in HU, uniform over its range."""
    low, high, _ = TISSUES[tissue]
    return float(rng.uniform(low, high))
