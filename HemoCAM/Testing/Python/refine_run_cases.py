"""What tests of refined masks in the pipeline share."""

import json
import shutil

import numpy as np
import pytest
from HemoCAMLib.models.bundle import Bundle
from HemoCAMLib.refinement.refiner import Refiner
from refinement_heads import by_hand

REFINER = Refiner(by_hand(), high=0.7, low=0.4, about={"fitted on": 3, "seeds": [41, 42]})


def entry(content, **changes):
    """A refinement of the default map, as a manifest lists it."""
    own = {
        "method": "hirescam", "stage": 2, "target": "any", "scale": "gated",
        "weights": content["weights"]["sha256"], "refiner": json.loads(REFINER.to_json()),
    }  # fmt: skip
    return {**own, **changes}


@pytest.fixture(scope="module")
def bundle(tiny_bundle, tmp_path_factory) -> Bundle:
    """The tiny bundle with a refinement of its default map."""
    folder = tmp_path_factory.mktemp("refined") / "tiny"
    shutil.copytree(tiny_bundle.folder, folder)
    content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    content["explanation"]["refinements"] = [entry(content)]
    (folder / "model.json").write_text(json.dumps(content), encoding="utf-8")
    return Bundle.open(folder)


def dice(one, other):
    return 2 * np.count_nonzero(one & other) / (np.count_nonzero(one) + np.count_nonzero(other))
