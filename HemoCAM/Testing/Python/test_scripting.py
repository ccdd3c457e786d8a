"""The examples in Docs/SCRIPTING.md do what the text beside them says."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer_app
from conftest import ROOT
from HemoCAMLib.phantoms.patient import PatientSpec, make_patient
from HemoCAMLib.volumes.files import write_image
from HemoCAMLib.volumes.volume import Volume

PAGE = (ROOT / "Docs" / "SCRIPTING.md").read_text(encoding="utf-8")
START = "import slicer_app; slicer_app.install()\n"


def examples() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_the_examples_are_plain_python():
    assert len(examples()) >= 8
    for code in examples():
        compile(code, "SCRIPTING.md", "exec")


@pytest.mark.slow
def test_the_examples_run_from_top_to_bottom(tmp_path):
    if slicer_app.why_not():
        pytest.skip(slicer_app.why_not())
    scans = tmp_path / "scans"
    scans.mkdir()
    patient = make_patient(PatientSpec(seed=2, kinds=(), size=128, spacing_mm=1.8, slice_mm=10))
    write_image(patient.ct, scans / "a.nrrd")
    write_image(Volume(np.zeros((4, 8, 8), np.int16), np.eye(4)), scans / "b.nii.gz")  # not a head
    (tmp_path / "examples.py").write_text(START + "\n".join(examples()), encoding="utf-8")
    folders = [Path(__file__).parent, ROOT / "HemoCAM"]
    paths = f"import sys; sys.path[:0] = {[str(folder) for folder in folders]!r}; "
    done = subprocess.run(
        [sys.executable, "-c", f"{paths}import runpy; runpy.run_path('examples.py', run_name='__main__')"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    for line in re.findall(r"print\(.*\)  # (any: .*|This volume .*)$", PAGE, re.MULTILINE):
        assert line in said
    rows = list(csv.DictReader((tmp_path / "batch" / "findings.csv").open(encoding="utf-8")))
    assert [row["case"] for row in rows] == ["case-001", "case-002"]
    assert 0 <= float(rows[0]["highest_probability"]) <= 1 and not rows[0]["problem"]
    assert rows[1]["problem"].endswith(".") and not rows[1]["mask_ml"]
    assert sorted(p.name for p in (tmp_path / "batch").iterdir()) == ["case-001.mrb", "findings.csv"]
    assert (tmp_path / "results" / "comparison.csv").is_file()
