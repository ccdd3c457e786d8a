"""Against Plastimatch itself, the engine under SlicerRT's Segment Comparison, on random pairs of masks.

Its distance map is Danielsson's propagation, which now and then misses the nearest voxel; HemoCAM's distances
are exact. So three things are held against each other: the definitions, on Plastimatch's own map; the whole
comparison, on pairs where this map is right; and on any pair, where the two may differ by no more than the
map's own error, measured against SciPy.
"""

import re
import shutil
import subprocess

import numpy as np
import pytest
import SimpleITK as sitk
from HemoCAMLib.comparison.masks import bounding_box
from HemoCAMLib.comparison.surface import Hausdorff, boundary
from HemoCAMLib.comparison.table import compare
from HemoCAMLib.volumes.volume import Volume
from scipy.ndimage import distance_transform_edt, gaussian_filter

pytestmark = pytest.mark.skipif(
    shutil.which("plastimatch") is None,
    reason="plastimatch is not installed (Debian: apt-get install plastimatch): not compared with it",
)

KINDS = ("blobs", "apart", "nested", "border", "voxels", "rough")
PAIRS = [(seed, KINDS[seed % len(KINDS)]) for seed in range(20)]
TOLERANCE = 1e-4  # mm


def ellipsoid(rng, shape, spacing, middle, radius):
    """One turned ellipsoid: middle and mean radius as parts of the grid's extent, bool (K, J, I)."""
    extent = np.array(shape) * spacing
    axes = np.linalg.qr(rng.standard_normal((3, 3)))[0] / (radius * extent * rng.uniform(0.6, 1.4, 3))
    grid = np.stack(
        np.meshgrid(*[np.arange(n) * s for n, s in zip(shape, spacing, strict=True)], indexing="ij"), -1
    )
    return (((grid - middle * extent) @ axes) ** 2).sum(axis=-1) < 1


def draw_pair(kind, rng):
    """Two masks, bool (K, J, I), and the spacing along K, J, I in mm."""
    shape = rng.integers(18, 40, 3)
    spacing = rng.uniform(0.4, 5, 3)
    if kind == "blobs":  # like bleeds: varied overlap
        pair = [ellipsoid(rng, shape, spacing, rng.uniform(0.35, 0.65, 3), 0.2) for _ in range(2)]
    elif kind == "apart":
        pair = [ellipsoid(rng, shape, spacing, rng.uniform(low, low + 0.1, 3), 0.15) for low in (0.2, 0.7)]
    elif kind == "nested":
        turned = rng.bit_generator.state
        pair = [ellipsoid(rng, shape, spacing, np.full(3, 0.5), 0.3)]
        rng.bit_generator.state = turned
        pair.append(ellipsoid(rng, shape, spacing, np.full(3, 0.5), rng.uniform(0.1, 0.2)))
    elif kind == "border":  # across three faces of the grid
        pair = [ellipsoid(rng, shape, spacing, rng.uniform(0, 0.2, 3), 0.25) for _ in range(2)]
    elif kind == "voxels":
        pair = np.zeros((2, *shape), dtype=bool)
        for mask, count in zip(pair, rng.integers(1, 4, 2), strict=True):
            mask[tuple(rng.integers(1, np.array(shape)[:, None] - 1, (3, count)))] = True
    else:  # noise: many islands and holes
        noise = gaussian_filter(rng.standard_normal((2, *shape)), (0, 1.5, 1.5, 1.5))
        pair = noise > np.quantile(noise, rng.uniform(0.8, 0.98))
    for mask in pair:
        # Plastimatch cuts the last slice off masks that reach from edge to edge of the grid: keep it free.
        mask[-1] = mask[:, -1] = mask[:, :, -1] = False
    return pair, spacing


def save(mask, spacing, path):
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    image.SetSpacing(spacing[::-1].tolist())
    image.SetOrigin((12.0, -34.0, 56.0))
    sitk.WriteImage(image, str(path))


def volume_of(mask, spacing):
    matrix = np.diag([-1, -1, 1, 1]) @ np.diag([*spacing[::-1], 1])  # ITK's LPS to RAS
    matrix[:3, 3] = (-12, 34, 56)
    return Volume(mask, matrix)


def run(*arguments):
    done = subprocess.run(["plastimatch", *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def printed(pair, spacing, folder):
    """Return what ``plastimatch dice --all`` prints, by name."""
    for mask, name in zip(pair, ("reference", "test"), strict=True):
        save(mask, spacing, folder / f"{name}.nrrd")
    text = run("dice", "--all", folder / "reference.nrrd", folder / "test.nrrd")
    numbers = dict(re.findall(r"^([^:=\n]+?)\s*[:=]\s*(\S+)$", text, flags=re.MULTILINE))
    result = {name: float(number) for name, number in numbers.items()}
    for name in ("ref", "cmp"):
        result[name] = [float(x) for x in re.search(rf"^{name}\s+(.+)$", text, re.MULTILINE)[1].split()]
    return result


def distance_maps(pair, spacing, folder):
    """Plastimatch's signed distance map to each mask, on the box it works in, and the masks on this box."""
    box = bounding_box(pair[0] | pair[1])
    parts = [mask[box] for mask in pair]
    maps = []
    for part in parts:
        save(part, spacing, folder / "part.nrrd")
        run("dmap", "--input", folder / "part.nrrd", "--output", folder / "map.nrrd")
        maps.append(sitk.GetArrayFromImage(sitk.ReadImage(str(folder / "map.nrrd"))))
    return parts, maps


def map_error(parts, maps, spacing):
    """Largest deviation of Plastimatch's maps from SciPy's exact distances, at the voxels that count."""
    worst = 0.0
    for here, part, found in ((parts[1], parts[0], maps[0]), (parts[0], parts[1], maps[1])):
        exact = distance_transform_edt(~boundary(part), sampling=spacing)
        counts = (here & ~part) | boundary(here)
        worst = max(worst, float(np.abs(np.abs(found) - exact)[counts].max()))
    return worst


def flat(pair):
    return min(s.stop - s.start for s in bounding_box(pair[0] | pair[1])) == 1


def check(distances, numbers, suffix, slack, has_rank):
    assert distances.maximum == pytest.approx(numbers[f"Hausdorff distance{suffix}"], rel=0, abs=slack)
    average = numbers[f"Avg average Hausdorff distance{suffix}"]
    assert distances.average == pytest.approx(average, rel=0, abs=slack)
    if has_rank:
        percentile = numbers[f"Percent (0.95) Hausdorff distance{suffix}"]
        assert distances.percentile_95 == pytest.approx(percentile, rel=0, abs=slack)


def check_all(found, numbers, pair, slack):
    # Of a single voxel Plastimatch's rank is -1, and what it reads there is no distance.
    has_rank = min(np.count_nonzero(mask) for mask in pair) > 1
    check(found.volume, numbers, "", slack, has_rank)
    if not flat(pair):  # then the command, other than SlicerRT, does not count the whole slice as boundary
        check(found.boundary, numbers, " (boundary)", slack, has_rank)


@pytest.fixture(scope="module", params=PAIRS, ids=lambda pair: f"{pair[1]}-{pair[0]}")
def case(request, tmp_path_factory):
    """One random pair of masks: it, its spacing, what HemoCAM finds and what Plastimatch prints."""
    seed, kind = request.param
    folder = tmp_path_factory.mktemp("pair")
    pair, spacing = draw_pair(kind, np.random.default_rng(seed))
    found = compare(*(volume_of(mask, spacing) for mask in pair))
    return pair, spacing, found, printed(pair, spacing, folder), distance_maps(pair, spacing, folder)


def test_overlap_and_centres(case):
    _, _, found, numbers, _ = case
    assert found.dice == pytest.approx(numbers["DICE"], rel=0, abs=1e-6)  # six decimals are printed
    assert found.sensitivity == pytest.approx(numbers["SE"], rel=0, abs=1e-6)
    assert found.specificity == pytest.approx(numbers["SP"], rel=0, abs=1e-6)
    counts = found.counts
    assert (counts.true_positives, counts.true_negatives) == (numbers["TP"], numbers["TN"])
    assert (counts.false_positives, counts.false_negatives) == (numbers["FP"], numbers["FN"])
    for point, name in ((found.reference_centre, "ref"), (found.test_centre, "cmp")):
        assert np.array(point) * [-1, -1, 1] == pytest.approx(numbers[name], rel=1e-5, abs=1e-5)  # 6 digits


def test_definitions_of_the_distances(case):
    """Given Plastimatch's own map, maximum, average and 95 % are its own, on every pair."""
    pair, _, _, numbers, (parts, maps) = case
    has_rank = min(np.count_nonzero(mask) for mask in pair) > 1
    everywhere = [np.maximum(found, 0)[here] for here, found in zip(parts, maps[::-1], strict=True)]
    check(Hausdorff.of(*everywhere), numbers, "", TOLERANCE, has_rank)
    if not flat(pair):
        shells = [np.abs(found)[boundary(here)] for here, found in zip(parts, maps[::-1], strict=True)]
        check(Hausdorff.of(*shells), numbers, " (boundary)", TOLERANCE, has_rank)


def test_distances_differ_by_no_more_than_the_error_of_its_map(case):
    pair, spacing, found, numbers, (parts, maps) = case
    check_all(found, numbers, pair, TOLERANCE + map_error(parts, maps, spacing))
    # It can only miss nearer voxels: its distances are never too small.
    assert found.volume.maximum <= numbers["Hausdorff distance"] + TOLERANCE
    assert found.volume.average <= numbers["Avg average Hausdorff distance"] + TOLERANCE
    assert found.boundary.maximum <= numbers["Hausdorff distance (boundary)"] + TOLERANCE


@pytest.mark.parametrize(("seed", "kind"), PAIRS)
def test_distances_equal_plastimatch_where_its_map_is_right(seed, kind, tmp_path):
    rng = np.random.default_rng(seed)
    for _ in range(60):
        pair, spacing = draw_pair(kind, rng)
        parts, maps = distance_maps(pair, spacing, tmp_path)
        if map_error(parts, maps, spacing) < TOLERANCE / 4:
            break
    else:
        pytest.fail("no pair found on which Plastimatch's distance map is right")
    found = compare(*(volume_of(mask, spacing) for mask in pair))
    check_all(found, printed(pair, spacing, tmp_path), pair, TOLERANCE)
