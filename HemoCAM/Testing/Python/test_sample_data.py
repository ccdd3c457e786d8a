"""Sample data: virtual patients with labels, in any scene, and registered as Slicer's Sample Data module asks."""

import subprocess
import sys
import types

import numpy as np
import pytest
import slicer
from HemoCAMLib.errors import HemoCAMError
from HemoCAMLib.panel import sample_data
from HemoCAMLib.panel.sample_data import COLORS, SAMPLES, make_sample, register_samples
from HemoCAMLib.phantoms.patient import KINDS, PatientSpec, make_patient
from HemoCAMLib.scene import load_scene, new_scene, node_to_volume, save_scene, segmentation_to_volume
from PIL import Image


@pytest.fixture(scope="module")
def patients():
    return [make_patient(sample.spec()) for sample in SAMPLES]


@pytest.fixture
def drawn(patients, monkeypatch):
    """The samples' patients are drawn once."""
    known = {patient.spec: patient for patient in patients}
    monkeypatch.setattr(sample_data, "make_patient", lambda spec: known[spec])


@pytest.mark.parametrize("index", range(len(SAMPLES)))
def test_a_sample_is_the_patient_with_a_segment_a_kind(index, drawn, patients, tmp_path):
    patient, scene = patients[index], new_scene()
    nodes = make_sample(scene, SAMPLES[index])
    save_scene(scene, tmp_path / "sample.mrb")
    loaded = load_scene(tmp_path / "sample.mrb")
    for where in (scene, loaded):
        ct = where.GetFirstNodeByName(nodes.ct.GetName())
        labels = where.GetFirstNodeByName(nodes.labels.GetName())
        assert node_to_volume(ct).same_grid(patient.ct)
        np.testing.assert_array_equal(node_to_volume(ct).array, patient.ct.array)
        segmentation = labels.GetSegmentation()
        ids = [segmentation.GetNthSegmentID(i) for i in range(segmentation.GetNumberOfSegments())]
        assert ids == [kind for kind in KINDS if (patient.labels.array == KINDS.index(kind) + 1).any()]
        for kind in ids:
            mask = segmentation_to_volume(labels, kind)
            truth = patient.labels.array == KINDS.index(kind) + 1
            assert mask.array.sum() == truth.sum()
            found = np.sort(mask.ras(np.argwhere(mask.array)[:, ::-1]), axis=0)
            known = np.sort(patient.labels.ras(np.argwhere(truth)[:, ::-1]), axis=0)
            np.testing.assert_allclose(found, known, atol=1e-3)
            assert segmentation.GetSegment(kind).GetColor() == pytest.approx(COLORS[kind], abs=0.003)


def test_the_second_sample_has_all_five_kinds(patients):
    assert set(np.unique(patients[1].labels.array)) == set(range(6))


def test_the_sample_is_shown_in_a_brain_window_through_its_bleeding(drawn, patients):
    scene = new_scene()
    for _ in range(2):  # a second time: another node, shown instead
        nodes = make_sample(scene)
    display = nodes.ct.GetScalarVolumeDisplayNode()
    assert (display.GetWindow(), display.GetLevel()) == (80, 40) and not display.GetAutoWindowLevel()
    assert nodes.labels.GetDisplayNode().GetVisibility2DOutline()
    assert scene.GetNumberOfNodesByClass("vtkMRMLScalarVolumeNode") == 2
    red = scene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    labels = patients[0].labels
    z = red.GetSliceToRAS().GetElement(2, 3)
    bleeding = labels.ras(np.argwhere(labels.array)[:, ::-1])[:, 2]
    assert bleeding.min() <= z <= bleeding.max()


def test_shown_sample_is_the_background_where_views_are_there(drawn):
    scene = new_scene()
    composite = slicer.vtkMRMLSliceCompositeNode()
    composite.SetSingletonTag("Red")
    composite = scene.AddNode(composite)
    old = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "old map")
    composite.SetForegroundVolumeID(old.GetID())
    nodes = make_sample(scene)
    assert composite.GetBackgroundVolumeID() == nodes.ct.GetID()
    assert not composite.GetForegroundVolumeID()


def test_a_scene_without_views_will_do(drawn):
    nodes = make_sample(slicer.vtkMRMLScene())
    assert nodes.ct.GetImageData() and nodes.labels.GetSegmentation().GetNumberOfSegments() == 1


class Source:
    """What Slicer's SampleDataSource keeps, and the text by which it knows sources apart."""

    def __init__(self, **given):
        self.__dict__.update(given)

    def __str__(self):
        return "\n".join(f"{key}: {value}" for key, value in sorted(self.__dict__.items()))


@pytest.fixture
def registered(monkeypatch):
    """Slicer's Sample Data module, as far as we use it: sources by category, equal ones once."""
    sources = {}

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(
            *, category, sampleName, uris, fileNames, nodeNames, customDownloader, thumbnailFileName
        ):
            given = [given for given in (uris, fileNames, nodeNames) if not isinstance(given, str)]
            assert not given, "Slicer counts one source where all three are text"
            source = Source(
                sampleName=sampleName, customDownloader=customDownloader, thumbnailFileName=thumbnailFileName
            )
            known = sources.setdefault(category, [])
            if str(source) not in map(str, known):
                known.append(source)

    module = types.ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic
    monkeypatch.setitem(sys.modules, "SampleData", module)
    return sources


def test_the_samples_are_registered_once_each_with_a_thumbnail(registered):
    for _ in range(2):  # the module was reloaded
        register_samples()
    assert list(registered) == ["HemoCAM"]
    assert [source.sampleName for source in registered["HemoCAM"]] == [sample.name for sample in SAMPLES]
    for source in registered["HemoCAM"]:
        with Image.open(source.thumbnailFileName) as picture:
            assert picture.size == (192, 128)


def test_a_button_makes_its_sample_in_slicers_scene(registered, drawn, monkeypatch):
    scene = new_scene()
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    register_samples()
    source = registered["HemoCAM"][1]
    ct, labels = source.customDownloader(source)
    assert ct.GetScene() is scene and labels.GetSegmentation().GetNumberOfSegments() == 5


def test_without_torch_one_sentence_says_what_to_do(registered, monkeypatch):
    monkeypatch.setattr(sample_data, "can_make_samples", lambda: False)
    scene = new_scene()
    before = scene.GetNumberOfNodes()
    with pytest.raises(HemoCAMError, match="PyTorch, which is not installed"):
        make_sample(scene)
    shown = []
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, **_: shown.append(text), raising=False)
    register_samples()
    source = registered["HemoCAM"][0]
    assert source.customDownloader(source) == []
    assert len(shown) == 1 and "not installed" in shown[0]
    assert scene.GetNumberOfNodes() == before


@pytest.mark.parametrize("agreed", [True, False])
def test_without_torch_the_panel_may_offer_to_install_it(agreed, registered, drawn, monkeypatch):
    there = []
    monkeypatch.setattr(sample_data, "can_make_samples", lambda: bool(there))
    monkeypatch.setattr(slicer, "mrmlScene", new_scene(), raising=False)
    register_samples(prepare=lambda: agreed and not there.append("torch"))
    source = registered["HemoCAM"][0]
    assert len(source.customDownloader(source)) == (2 if agreed else 0)


def test_importing_the_samples_draws_nothing_and_loads_nothing_heavy():
    code = (
        "import sys; sys.modules['torch'] = None; import HemoCAMLib.panel.sample_data as samples;"
        "heavy = {'timm', 'scipy', 'SimpleITK', 'matplotlib', 'torchvision'};"
        "print(sorted(heavy & set(sys.modules)), samples.can_make_samples())"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split("\n")[0] == "[] False"


def test_specs_are_fixed():
    assert all(
        isinstance(sample.spec(), PatientSpec) and sample.spec() == sample.spec() for sample in SAMPLES
    )
