"""A CT volume from DICOM files: which series, in which order, on which grid, in HU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from ..errors import InputError
from ..progress import Progress, silent
from .dicom_headers import Header, scan
from .padding import padding_to_air
from .series import choose_series, describe_others, ending
from .slice_stack import Stack, fit_stack, largest_run
from .volume import LPS_RAS, Volume

_SAME_PLACE_MM = 0.01
_SAME_COSINE = 2e-3  # 0.25 mm at the edge of a head
_STATE_DEVIATION_MM = 0.1
_STATE_SIDEWAYS_MM = 1.0
_MAX_BYTES = 4 * 2**30


def read_dicom(path: Path, series_uid: str | None = None, progress: Progress = silent) -> Volume:
    """Read one CT series of a folder, or the series that a file belongs to, in HU.

    The affine is built from the headers: rows and columns from Image Orientation and Pixel Spacing, the
    slice step from the differences of Image Position, so that the shear of a tilted gantry stays. Places
    where slices are missing hold the linear interpolation of their neighbours and are False in
    ``acquired``.

    Parameters
    ----------
    path:
        A folder (searched with its subfolders) or a DICOM file.
    series_uid:
        SeriesInstanceUID or a unique ending of it; None takes the axial CT series with the most slices.
    progress:
        Called for each file, twice: for its header and for its pixels.

    Returns
    -------
    Volume
        HU, shape (K, J, I), int16 (float32 where the rescale is not integral), K along the slice normal.

    Raises
    ------
    InputError
        If there is no such series, or it is no stack of slices, or a file is damaged.
    """
    headers, slices, findings = _choose(path, series_uid, progress)
    normal = slices[0].normal
    stack = fit_stack(np.array([h.position for h in slices]), normal)
    findings += _stack_findings(stack, slices)
    affine = _affine(slices[0], stack)
    array, padding = _read_pixels(slices, stack, progress)
    acquired = np.ones(stack.count, dtype=bool)
    acquired[stack.missing] = False
    _interpolate(array, stack.index)
    return Volume(
        array,
        affine,
        acquired=acquired if len(stack.missing) else None,
        findings=tuple(findings),
        source=_source(headers, slices, stack, padding),
    )


def slice_headers(path: Path) -> list[Header]:
    """Headers of the slices that :func:`read_dicom` reads of ``path``, from one end to the other; errors as there.

    Place of a slice in the volume: that of its ``position``, LPS, in mm.
    """
    return _choose(path, None, silent)[1]


def _choose(
    path: Path, series_uid: str | None, progress: Progress
) -> tuple[list[Header], list[Header], list[str]]:
    """All headers, the slices of the volume, and findings about what was left aside."""
    headers = scan(path, progress)
    if path.is_file() and series_uid is None:
        own = next((h.series_uid for h in headers if h.path == path), None)
        if own is None:
            raise InputError(f"{path.name} is a DICOM file without a readable image.")
        series_uid = own
    chosen = choose_series(headers, series_uid)
    findings = describe_others(headers, chosen[0].series_uid)
    slices = _one_stack(chosen, findings)
    if len(slices) < 2:
        raise InputError(
            f"The CT series {ending(chosen[0].series_uid)} has only one slice; give the whole series."
        )
    return headers, slices, findings


def read_hu(header: Header) -> np.ndarray:
    """Read all pixels of the file that ``header`` belongs to.

    Returns
    -------
    np.ndarray
        HU (GDCM has applied slope and intercept), shape (frames, rows, columns), integer, or float where the
        rescale asks for it; padding as it is stored.

    Raises
    ------
    InputError
        If the pixels are damaged, compressed in an unknown way, in colours, or not as many as the header says.
    """
    try:
        pixels = sitk.GetArrayFromImage(sitk.ReadImage(str(header.path), imageIO="GDCMImageIO"))
    except RuntimeError:
        pixels = None
    if pixels is None or pixels.shape != (header.frames, header.rows, header.columns):
        raise InputError(
            f"The pixels of the DICOM file {header.path.name} cannot be read; it is damaged, or compressed in a "
            "way that GDCM does not know: copy it again or convert it."
        )
    return pixels


def _one_stack(slices: Sequence[Header], findings: list[str]) -> list[Header]:
    """Keep the slices that form one stack, sorted along the normal; say what was left aside and why."""
    group = _largest_alike(slices)
    if len(group) < len(slices):
        findings.append(
            f"{_count(len(slices) - len(group))} of the series left aside: another size, pixel spacing or "
            "orientation than most."
        )
    normal = group[0].normal
    group = _one_acquisition(group, normal, findings)
    unique: list[Header] = []
    for header in sorted(
        group, key=lambda h: (round(float(h.position @ normal) / _SAME_PLACE_MM), h.instance)
    ):
        if not unique or (header.position - unique[-1].position) @ normal > _SAME_PLACE_MM:
            unique.append(header)
    if len(unique) < len(group):
        findings.append(
            f"{_count(len(group) - len(unique))} at a position that an earlier slice already has left aside."
        )
    along = np.array([h.position @ normal for h in unique])
    run = largest_run(along)
    strays = [*unique[: run.start], *unique[run.stop :]]
    if strays:
        findings.append(
            f"{_count(len(strays))} beyond a hole in the series left aside, at {_positions_mm(strays)}."
        )
    return unique[run]


def _largest_alike(slices: Sequence[Header]) -> list[Header]:
    groups: list[list[Header]] = []
    for header in slices:
        for group in groups:
            if _alike(header, group[0]):
                group.append(header)
                break
        else:
            groups.append([header])
    return max(groups, key=len)


def _alike(a: Header, b: Header) -> bool:
    return (
        (a.rows, a.columns) == (b.rows, b.columns)
        and np.allclose((a.row_spacing, a.column_spacing), (b.row_spacing, b.column_spacing), atol=1e-4)
        and np.allclose(a.row_cosine, b.row_cosine, atol=_SAME_COSINE)
        and np.allclose(a.column_cosine, b.column_cosine, atol=_SAME_COSINE)
    )


def _one_acquisition(group: list[Header], normal: np.ndarray, findings: list[str]) -> list[Header]:
    """Where a series holds the head more than once (phases), keep the acquisition with the most slices."""
    numbers = Counter(h.acquisition for h in group)
    along = np.array([h.position @ normal for h in group])
    if len(numbers) == 1 or len(np.unique(np.rint(along / _SAME_PLACE_MM))) == len(along):
        return group  # a scanner may also number each rotation of one head; then no position repeats
    largest = min(numbers, key=lambda a: (-numbers[a], a))
    inside = along[[h.acquisition == largest for h in group]]
    if np.ptp(inside) < 0.8 * np.ptp(along):
        return group
    kept = [h for h in group if h.acquisition == largest]
    findings.append(
        f"The series holds {len(numbers)} acquisitions; number {largest} ({_count(len(kept))}) was read."
    )
    return kept


def _affine(first: Header, stack: Stack) -> np.ndarray:
    lps = np.eye(4)
    lps[:3, 0] = first.row_cosine * first.column_spacing
    lps[:3, 1] = first.column_cosine * first.row_spacing
    lps[:3, 2] = stack.step
    lps[:3, 3] = stack.first
    if min(first.row_spacing, first.column_spacing) <= 0:
        raise InputError("The DICOM files do not say how large their pixels are (Pixel Spacing).")
    return LPS_RAS @ lps


def _read_pixels(slices: list[Header], stack: Stack, progress: Progress) -> tuple[np.ndarray, int]:
    integral = all(float(h.slope).is_integer() and float(h.intercept).is_integer() for h in slices)
    dtype = np.dtype(np.int16 if integral else np.float32)
    shape = (stack.count, slices[0].rows, slices[0].columns)
    if np.prod(shape, dtype=float) * dtype.itemsize > _MAX_BYTES:
        raise InputError(f"The series is larger than 4 GiB ({shape[2]} x {shape[1]} x {shape[0]} voxels).")
    array = np.empty(shape, dtype=dtype)
    padding = 0
    opened: tuple[Path | None, np.ndarray | None] = (None, None)
    for done, (header, place) in enumerate(zip(slices, stack.index, strict=True)):
        progress("Reading slices", done, len(slices))
        if header.path != opened[0]:
            opened = (header.path, read_hu(header))
        hu = opened[1][header.frame]
        if dtype.kind == "i":
            hu = np.clip(hu, -32768, 32767)
        array[place] = hu
        marked = None if header.padding is None else header.padding * header.slope + header.intercept
        padding += padding_to_air(array[place], marked)
    progress("Reading slices", len(slices), len(slices))
    return array, padding


def _interpolate(array: np.ndarray, index: np.ndarray) -> None:
    """Fill the empty places between two slices linearly, in place."""
    for below, above in pairwise(index):
        for place in range(below + 1, above):
            weight = (place - below) / (above - below)
            mixed = (1 - weight) * array[below].astype(np.float32) + weight * array[above]
            array[place] = np.rint(mixed) if array.dtype.kind == "i" else mixed


def _stack_findings(stack: Stack, slices: list[Header]) -> list[str]:
    findings = []
    normal = slices[0].normal
    if len(stack.missing):
        at = _along_ras(stack.first + stack.missing[:, None] * stack.step, normal)
        are = "slice is missing" if len(at) == 1 else "slices are missing"
        findings.append(
            f"{len(at)} {are} in the series, at {_list_mm(at)}: interpolated from the neighbours, so that all "
            "others keep their true positions."
        )
    if stack.deviation > _STATE_DEVIATION_MM:
        gaps = np.diff([h.position @ normal for h in slices])
        findings.append(
            f"The slices are unevenly spaced ({gaps.min():.2f} to {gaps.max():.2f} mm): on the even grid used "
            f"here they lie up to {stack.deviation:.2f} mm from their true positions."
        )
    if stack.sideways > _STATE_SIDEWAYS_MM:
        findings.append(f"The slices are shifted sideways by up to {stack.sideways:.1f} mm.")
    return findings


def _along_ras(positions: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Positions along the slice normal in RAS, in mm; the normal points to the head, the front or the right."""
    ras = LPS_RAS[:3, :3] @ normal
    ras = ras * np.sign(ras[np.argmax(np.abs(ras))])
    return np.asarray(positions) @ LPS_RAS[:3, :3].T @ ras


def _positions_mm(slices: list[Header]) -> str:
    return _list_mm(_along_ras(np.array([h.position for h in slices]), slices[0].normal))


def _list_mm(values: np.ndarray, most: int = 6) -> str:
    shown = ", ".join(f"{v:.1f}" for v in values[:most])
    return f"{shown} and {len(values) - most} more mm" if len(values) > most else f"{shown} mm"


def _count(n: int) -> str:
    return "1 slice" if n == 1 else f"{n} slices"


def _source(headers: list[Header], slices: list[Header], stack: Stack, padding: int) -> dict:
    first = slices[0]
    others = Counter((h.series_uid, h.modality) for h in headers if h.series_uid != first.series_uid)
    return {
        "format": "DICOM",
        "files": len({h.path for h in slices}),
        "series_uid": first.series_uid,
        "series_ignored": [
            {"series": ending(uid), "modality": modality, "images": n}
            for (uid, modality), n in sorted(others.items())
        ],
        "modality": first.modality,
        "slice_thickness_mm": first.thickness,
        "gantry_tilt_deg": first.tilt,
        "kernel": first.kernel,
        "slices_interpolated": len(stack.missing),
        "largest_deviation_mm": round(stack.deviation, 4),
        "padding_voxels": padding,
    }
