"""Synthetic DICOM for tests: single slices through SimpleITK/GDCM, a multi-frame file byte by byte."""

import struct
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from HemoCAMLib.volumes.volume import LPS_RAS

ROOT = "1.2.826.0.1.3680043.10.1"
PATIENT = "Doe^Jane"


def write_slice(path, hu, affine, place, series="1.100", number=1, **tags):
    """Write one axial plane ``hu`` (J, I) that lies at index ``place`` of ``affine`` (IJK to RAS).

    ``tags`` as t00280120="0"; the value None leaves a tag out. GDCM stores what slope and intercept ask for.
    """
    lps = LPS_RAS @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    row, column = lps[:3, 0] / spacing[0], lps[:3, 1] / spacing[1]
    position = lps[:3, 3] + lps[:3, 2] * place
    image = sitk.GetImageFromArray(np.asarray(hu)[None].astype(np.int16))
    image.SetSpacing((float(spacing[0]), float(spacing[1]), 1.0))
    image.SetOrigin(position.tolist())
    image.SetDirection(np.stack([row, column, np.cross(row, column)], axis=1).ravel().tolist())
    meta = {
        "0008|0008": "ORIGINAL\\PRIMARY\\AXIAL",
        "0008|0016": "1.2.840.10008.5.1.4.1.1.2",
        "0008|0018": f"{ROOT}.{series}.{number}",
        "0008|0050": "A4711",
        "0008|0060": "CT",
        "0008|1030": "Study of Jane",
        "0010|0010": PATIENT,
        "0010|0020": "ID4711",
        "0010|0030": "19500101",
        "0018|0050": "5",
        "0018|1210": "H31s",
        "0020|000d": f"{ROOT}.1",
        "0020|000e": f"{ROOT}.{series}",
        "0020|0011": series.rsplit(".", 1)[-1],
        "0020|0012": "1",
        "0020|0013": str(number),
        "0028|1052": "-1024",
        "0028|1053": "1",
    }
    for tag, value in tags.items():
        meta[f"{tag[1:5]}|{tag[5:]}"] = value
    for key, value in meta.items():
        if value is not None:
            image.SetMetaData(key, str(value))
    writer = sitk.ImageFileWriter()
    writer.SetImageIO("GDCMImageIO")
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(image)


def write_series(folder, volume, series="1.100", places=None, order=None, name="{:03d}.dcm", **tags):
    """Write the slices of ``volume`` at ``places`` (default: all); ``order`` shuffles instance numbers."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    places = range(volume.shape[0]) if places is None else places
    order = range(len(places)) if order is None else order
    for number, place in zip(order, places, strict=True):
        plane = volume.array[round(place)]
        path = folder / name.format(number)
        write_slice(path, plane, volume.ijk_to_ras, place, series, number + 1, **tags)
    return folder


def write_multiframe(
    path, raw, positions, cosines=(1, 0, 0, 0, 1, 0), spacing=(2.0, 2.0), slope="1", intercept="-1024"
):
    """Write an Enhanced CT file: frames ``raw`` (K, J, I) at LPS ``positions`` (K, 3); None leaves them out."""
    storage = "1.2.840.10008.5.1.4.1.1.2.1"
    frames, rows, columns = raw.shape
    rescale = _element(0x28, 0x1052, "DS", intercept) + _element(0x28, 0x1053, "DS", slope)
    shared = (
        _sequence(0x28, 0x9110, _element(0x28, 0x30, "DS", "\\".join(map(str, spacing))))
        + _sequence(0x28, 0x9145, rescale + _element(0x28, 0x1054, "LO", "HU"))
        + _sequence(0x20, 0x9116, _element(0x20, 0x37, "DS", "\\".join(map(str, cosines))))
    )
    places = [] if positions is None else positions
    each = [
        _sequence(0x20, 0x9113, _element(0x20, 0x32, "DS", "\\".join(f"{v:g}" for v in p))) for p in places
    ]
    data = b"".join(
        [
            _element(0x08, 0x08, "CS", "ORIGINAL\\PRIMARY\\VOLUME\\NONE"),
            _element(0x08, 0x16, "UI", storage),
            _element(0x08, 0x18, "UI", f"{ROOT}.9.1"),
            _element(0x08, 0x60, "CS", "CT"),
            _element(0x20, 0x0D, "UI", f"{ROOT}.1"),
            _element(0x20, 0x0E, "UI", f"{ROOT}.1.900"),
            _element(0x28, 0x02, "US", 1),
            _element(0x28, 0x04, "CS", "MONOCHROME2"),
            _element(0x28, 0x08, "IS", str(frames)),
            *(_element(0x28, e, "US", v) for e, v in ((0x10, rows), (0x11, columns))),
            *(_element(0x28, e, "US", v) for e, v in ((0x100, 16), (0x101, 16), (0x102, 15), (0x103, 0))),
            _sequence(0x5200, 0x9229, shared),
            _sequence(0x5200, 0x9230, *each) if each else b"",
            _element(0x7FE0, 0x10, "OW", raw.astype("<u2").tobytes()),
        ]
    )
    meta = (
        _element(2, 1, "OB", b"\0\1")
        + _element(2, 2, "UI", storage)
        + _element(2, 3, "UI", f"{ROOT}.9.1")
        + _element(2, 0x10, "UI", "1.2.840.10008.1.2.1")
    )
    group = _element(2, 0, "UL", struct.pack("<I", len(meta)))
    Path(path).write_bytes(b"\0" * 128 + b"DICM" + group + meta + data)


def _element(group, element, kind, value):
    if isinstance(value, int):
        value = struct.pack("<H", value)
    if isinstance(value, str):
        value = value.encode()
    if len(value) % 2:
        value += b"\0" if kind == "UI" else b" "
    long = kind in ("SQ", "OW", "OB")
    length = b"\0\0" + struct.pack("<I", len(value)) if long else struct.pack("<H", len(value))
    return struct.pack("<HH", group, element) + kind.encode() + length + value


def _sequence(group, element, *items):
    packed = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    return _element(group, element, "SQ", packed)
