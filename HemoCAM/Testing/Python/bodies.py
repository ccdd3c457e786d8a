"""Simple synthetic bodies in HU for tests of reading: a head, a chest, a belly, a bottle; a bare NIfTI."""

import struct

import numpy as np
from HemoCAMLib.volumes.axial import to_axial
from HemoCAMLib.volumes.volume import Volume
from scipy.spatial.transform import Rotation

SMALL = (16, 48, 48)
SPACING = (4.0, 4.5, 9.0)
LEANING = Rotation.from_rotvec([0.3, 0.2, -0.25]).as_matrix()


def same_place(a, b, tolerance=1e-6):
    """Both volumes have the same value at the same RAS position, whatever their axes' order."""
    a, _ = to_axial(a)
    b, _ = to_axial(b)
    return a.same_grid(b, tolerance) and bool((a.array == b.array).all())


def rotation(seed):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.sign(np.diag(r))


def grid(shape=(30, 128, 128), spacing=(1.9, 1.9, 5.0), turn=None):
    """Affine of a centred axial volume (I to the left, J to the back, K up), turned by a 3 x 3 matrix."""
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    if turn is not None:
        affine[:3, :3] = turn @ affine[:3, :3]
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2)
    return affine


def _mesh(shape, spacing):
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, spacing[::-1], strict=True)]
    return np.meshgrid(*axes, indexing="ij")  # z up, y to the back, x to the left, in mm


def head(shape=(30, 128, 128), spacing=(1.9, 1.9, 5.0), size=1.0, bone=900, noise=4.0, seed=0):
    """Scalp, skull and brain with ventricles, a nose cavity, a headrest; ``size`` 0.6 is a baby."""
    z, y, x = _mesh(shape, spacing)
    z = z + 10
    r = np.sqrt((x / 72) ** 2 + (y / 90) ** 2 + (z / 75) ** 2) / size
    hu = np.full(shape, -1000.0)
    hu[r < 1.12] = 20
    hu[r < 1.05] = bone
    hu[r < 0.96] = 34
    hu[(np.abs(x) < 14 * size) & (np.abs(y) < 30 * size) & (np.abs(z - 10) < 12 * size)] = 6
    hu[(r < 0.9) & (z < -45 * size) & (y < -20 * size)] = -900
    hu[np.abs(np.hypot(x, y) - 112) < 1.5] = np.where(y[np.abs(np.hypot(x, y) - 112) < 1.5] > 60, 100, -1000)
    return _volume(hu, spacing, noise, seed)


def on_dense_headrest(volume):
    """The same body on a dense curved headrest that closes the air behind and beside it."""
    spacing = volume.spacing
    _, y, x = _mesh(volume.array.shape, spacing)
    ring = (np.abs(np.hypot(x, y - 8) - 108) < 4) & (y > -55)
    return Volume(
        np.where(ring & (volume.array < -500), 600, volume.array).astype(np.int16), volume.ijk_to_ras
    )


def torso(kind, shape=(40, 160, 160), spacing=(2.6, 2.6, 5.0), size=1.0, fat=True, noise=8.0, seed=0):
    """A chest ("chest": lungs, heart, ribs, spine) or a belly ("belly": organs in fat, ribs, spine)."""
    z, y, x = _mesh(shape, spacing)
    r = np.hypot(x / (175 * size), y / (120 * size))
    hu = np.full(shape, -1000.0)
    hu[r < 1.05] = -90 if fat else 45
    hu[r < 0.93] = 50
    if kind == "chest":
        for side in (-1, 1):
            lung = np.hypot((x - side * 80 * size) / (65 * size), y / (85 * size)) < 1
            hu[lung] = -850
    elif fat:
        hu[(r < 0.8) & (np.sin(x / (13 * size)) + np.sin(y / (11 * size)) + np.sin(z / 17) > 0.6)] = -95
    hu[np.hypot(x, y - 75 * size) < 19 * size] = 350
    angle = np.arctan2(y / 120, x / 175)
    slope = angle * np.sign(x) * 4 + z / (12 * size)  # ribs fall to the front, so a slice cuts them in pieces
    hu[(np.abs(r - 0.96) < 0.035) & (np.sin(slope * 2 * np.pi / 4.2) > 0.1)] = 600
    if kind == "chest":
        hu[(np.abs(x) < 15 * size) & (np.abs(y + 108 * size) < 6 * size)] = 300
    return _volume(hu, spacing, noise, seed)


def bottle(shape=(30, 128, 128), spacing=(1.9, 1.9, 5.0), seed=0):
    """A cylinder of water in a plastic wall."""
    _, y, x = _mesh(shape, spacing)
    r = np.hypot(x, y)
    hu = np.where(r < 92, 120.0, -1000.0)
    hu[r < 88] = 0
    return _volume(hu, spacing, 4.0, seed)


def _volume(hu, spacing, noise, seed):
    hu = hu + np.random.default_rng(seed).normal(0, noise, hu.shape)
    return Volume(np.clip(np.rint(hu), -1024, 3071).astype(np.int16), grid(hu.shape, spacing))


def nifti_bytes(array, rows, order="<", slope=1.0, intercept=0.0, size=None, pixdim=(2, 3, 4)):
    """A NIfTI-1 file of int16 voxels: sform ``rows`` (3, 4), or a rotated qform where it is None."""
    head = bytearray(352)
    size = array.shape[::-1] if size is None else size
    struct.pack_into(order + "i", head, 0, 348)
    struct.pack_into(order + f"{1 + len(size)}h", head, 40, len(size), *size)
    struct.pack_into(order + "hh", head, 70, 4, 16)
    struct.pack_into(order + "4f", head, 76, -1, *pixdim)
    struct.pack_into(order + "3f", head, 108, 352, slope, intercept)
    head[123] = 2
    struct.pack_into(order + "hh", head, 252, int(rows is None), int(rows is not None))
    struct.pack_into(order + "6f", head, 256, 0.1, -0.3, 0.2, 5, 6, 7)
    if rows is not None:
        struct.pack_into(order + "12f", head, 280, *np.ravel(rows))
    head[344:348] = b"n+1\0"
    return bytes(head) + array.astype(order + "i2").tobytes()
