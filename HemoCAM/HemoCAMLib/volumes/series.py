"""Which of the series in a folder is read, and how the others are named."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from ..errors import InputError
from .dicom_headers import Header

_MOST_NAMED = 4


def choose_series(headers: Sequence[Header], series_uid: str | None) -> list[Header]:
    """Return the slices of the series asked for, or of the axial CT series with the most slices.

    Copies of the same image (equal SOPInstanceUID) count once. A series whose planes are closest to axial
    goes before a sagittal or coronal one with more slices; among equals the lower series number wins.

    Raises
    ------
    InputError
        If there is no such series, or ``series_uid`` is ambiguous, or it is no CT.
    """
    if not headers:
        raise InputError("There is no DICOM image here; give the folder or the file that holds the CT.")
    by_uid: dict[str, dict[str, Header]] = defaultdict(dict)
    for header in headers:
        by_uid[header.series_uid].setdefault(header.sop_uid or str(header.path), header)
    series = {uid: list(images.values()) for uid, images in by_uid.items()}
    if series_uid is not None:
        uid = _find(series_uid, series)
        slices = [h for h in series[uid] if h.is_ct_slice]
        if not slices:
            raise InputError(
                f"The series {ending(uid)} is no CT with slice positions ({_why_not(series[uid])})."
            )
        return slices
    stacks = {
        uid: slices for uid, images in series.items() if (slices := [h for h in images if h.is_ct_slice])
    }
    if not stacks:
        raise InputError(f"There is no CT series with slice positions here ({_why_not(headers)}).")
    uid = min(stacks, key=lambda u: (not _axial(stacks[u]), -len(stacks[u]), stacks[u][0].series_number, u))
    return stacks[uid]


def describe_others(headers: Sequence[Header], chosen: str) -> list[str]:
    """One sentence that names the series left aside, without words that might name a patient; or none."""
    counts: dict[str, int] = defaultdict(int)
    modality: dict[str, str] = {}
    for header in headers:
        if header.series_uid != chosen:
            counts[header.series_uid] += 1
            modality[header.series_uid] = header.modality
    if not counts:
        return []
    largest = sorted(counts, key=lambda uid: (-counts[uid], uid))
    names = [
        f"{ending(uid)} ({'' if modality[uid] == 'CT' else modality[uid] + ', '}"
        f"{counts[uid]} {'slice' if counts[uid] == 1 else 'slices'})"
        for uid in largest[:_MOST_NAMED]
    ]
    more = f" and {len(largest) - _MOST_NAMED} more" if len(largest) > _MOST_NAMED else ""
    return [f"Read: series ending {ending(chosen)}; left aside: series ending {', '.join(names)}{more}."]


def ending(uid: str) -> str:
    """Last component of a UID with its dot, ``.2032152``: enough to tell series of one study apart."""
    return "." + uid.rsplit(".", 1)[-1] if uid else "(none)"


def _find(wanted: str, series: dict[str, list[Header]]) -> str:
    if wanted in series:
        return wanted
    found = [uid for uid in series if uid.endswith(wanted)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(ending(uid) for uid in sorted(series, key=lambda u: -len(series[u]))[:_MOST_NAMED])
    if found:
        raise InputError(f"{len(found)} series end in {wanted}; give more of the UID (largest: {names}).")
    raise InputError(f"No series here ends in {wanted}; the largest are {names}.")


def _axial(slices: list[Header]) -> bool:
    return abs(slices[0].normal[2]) > 0.7


def _why_not(headers: Sequence[Header]) -> str:
    modalities = sorted({h.modality for h in headers})
    if modalities != ["CT"]:
        return "modality " + ", ".join(modalities[:_MOST_NAMED])
    if any(h.frames > 1 for h in headers):
        return "multi-frame file without a position a frame and one rescale: convert it to single slices"
    if any(h.position is None or h.row_cosine is None for h in headers):
        return "the files do not say where their slices lie"
    return "localizers or colour pictures only"
