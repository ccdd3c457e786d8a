"""A model bundle's manifest, ``model.json``: read, checked against the schema, and given names."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from ..cams.methods import METHODS
from ..errors import ModelError, OptionError
from .files import check_values, one_line, printable, read_json

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

    from ..refinement.refiner import Refiner

_MOST_ERRORS = 100  # of the schema, among which the one that is told is chosen
Calibration = dict[str, tuple[float, float, float]]


@dataclass(frozen=True)
class PictureInput:
    """How a gray picture whose display window is unknown is read; see :mod:`~..volumes.picture`.

    Parameters
    ----------
    centre, width:
        Window in HU that the gray value is read by: black is ``centre - width / 2``, white ``centre + width / 2``.
    fill:
        Share of the network's square that the longer side of the skull's bounding box fills, in (0, 1].
    calibration:
        Of pictures, which lose more than HU do; as in :class:`Manifest`.
    mask_threshold:
        Of the default map, in (0, 1], or None: a picture's map is scaled by its own peak, a volume's by that of
        the whole volume, so the same threshold need not serve both.
    """

    centre: float
    width: float
    fill: float
    calibration: Calibration
    mask_threshold: float | None = None


@dataclass(frozen=True)
class Outside:
    """What the network sees in place of all that lies outside the intracranial space.

    Parameters
    ----------
    hu:
        Value that is filled in, in HU.
    margin_mm:
        The intracranial space is grown by so much in the slice plane before the rest is filled, 0 or more.
    """

    hu: float
    margin_mm: float


@dataclass(frozen=True)
class Manifest:
    """What a bundle says of itself; ``model.schema.json`` beside this file describes every key.

    Parameters
    ----------
    windows:
        One (centre, width) in HU per channel.
    offsets:
        Which slab each channel shows: 0 the slab itself, -1 the one below it, +1 the one above it.
    outside:
        What replaces all that lies outside the intracranial space, or None if the network sees the whole slice.
    calibration:
        Per class (slope, intercept, threshold): probability = sigmoid(slope * logit + intercept).
    neighbor_weight:
        Weight 0..0.5 of either neighbor's logit in the logit that is calibrated; see
        :func:`~.calibration.slab_probabilities`.
    head:
        (slope, intercept, threshold) of the probability that a head bleeds, or None; see
        :func:`~.calibration.head_probability`.
    picture:
        How gray pictures are taken, or None if the model takes HU only.
    raw:
        The manifest as it stands in the file.
    refinements:
        Fitted mask refinements by (method, stage, target, scale) of the map that each was fitted for.
    """

    name: str
    title: str
    licence: str
    architecture: str
    options: dict
    size: int
    field_of_view_mm: float
    slab_mm: float
    windows: tuple[tuple[float, float], ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    calibration: Calibration
    picture: PictureInput | None
    method: str
    stage: int
    target: str
    thresholds: dict
    weights_file: str
    sha256: str
    raw: dict
    refinements: dict[tuple[str, int, str, str], Refiner] = field(default_factory=dict)
    offsets: tuple[int, ...] = ()
    outside: Outside | None = None
    neighbor_weight: float = 0.0
    head: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if not self.offsets:
            object.__setattr__(self, "offsets", (0,) * len(self.windows))

    @property
    def neighborhood(self) -> tuple[int, ...]:
        """Slabs that the network sees to classify one, as offsets from it, rising; (0,) without neighbors."""
        return tuple(sorted({0, *self.offsets}))

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read and check ``model.json``; raise :class:`ModelError` with one sentence if anything is wrong."""
        path = Path(path)
        if not path.is_file():
            raise ModelError(f"There is no model.json in {printable(path.parent)}; a model bundle needs one.")
        return cls.of(read_json(path), printable(path))

    @classmethod
    def of(cls, data: dict, where: str = "The manifest") -> Manifest:
        """Check a manifest's content (JSON values) and name its parts; ``where`` opens error sentences."""
        from jsonschema.exceptions import best_match

        check_values(data, where)
        problem = best_match(islice(_validator().iter_errors(data), _MOST_ERRORS))
        if problem:
            place = "/".join(one_line(p, 60) for p in problem.absolute_path) or "its top level"
            message = one_line(problem.message)
            raise ModelError(f"{where} does not describe a model bundle: at {place}, {message}.")
        entry, shown = data["input"], data["explanation"]
        channels = len(entry["windows"])
        if not len(entry["mean"]) == len(entry["std"]) == channels:
            raise ModelError(f"{where} has {channels} windows, so mean and std need {channels} values each.")
        picture = entry.get("picture")
        for of_what, source in (("", data), (" of pictures", picture)):
            missing = [c for c in data["classes"] if source is not None and c not in source["calibration"]]
            if missing:
                raise ModelError(f"{where} lacks a calibration{of_what} for the class {missing[0]!r}.")
        if shown["target"] not in data["classes"]:
            raise ModelError(f"{where} explains {shown['target']!r}, which is not among its classes.")
        if shown["method"] not in METHODS:
            raise ModelError(f"{where} has the unknown default method {shown['method']!r}.")
        head = data.get("head")
        return cls(
            name=data["name"],
            title=data["title"],
            licence=data["licence"],
            architecture=data["architecture"]["timm"],
            options=dict(data["architecture"].get("options", {})),
            size=entry["size"],
            field_of_view_mm=float(entry["field_of_view_mm"]),
            slab_mm=float(entry["slab_mm"]),
            windows=tuple((float(w["centre"]), float(w["width"])) for w in entry["windows"]),
            mean=tuple(entry["mean"]),
            std=tuple(entry["std"]),
            classes=tuple(data["classes"]),
            calibration=_calibration(data["calibration"]),
            picture=None if picture is None else _picture(picture),
            method=shown["method"],
            stage=shown["stage"],
            target=shown["target"],
            thresholds=shown["thresholds"],
            weights_file=data["weights"]["file"],
            sha256=data["weights"]["sha256"],
            raw=data,
            refinements=_refinements(data, where),
            offsets=tuple(w.get("slab", 0) for w in entry["windows"]),
            outside=Outside(**entry["outside"]) if "outside" in entry else None,
            neighbor_weight=float(data.get("neighbor_weight", 0.0)),
            head=None if head is None else (head["slope"], head["intercept"], head["threshold"]),
        )

    def for_pictures(self) -> Manifest:
        """Return this manifest with the calibration and mask threshold of pictures in place of those of HU.

        It holds no refinement: the gray of a picture is no HU.

        Raises
        ------
        ModelError
            If the model does not take pictures.
        """
        if self.picture is None:
            raise ModelError(
                f"The model {self.name} reads HU only: its model.json has no input.picture; give DICOM slices, "
                "or another --model."
            )
        shown = self.picture.mask_threshold
        thresholds = self.thresholds if shown is None else {"default": shown}
        return replace(self, calibration=self.picture.calibration, thresholds=thresholds, refinements={})

    def mask_threshold(self, method: str, stage: int) -> float:
        """Mask threshold on the displayed map, in (0, 1], for ``method`` at ``stage``."""
        return float(self.thresholds.get(method, {}).get(str(stage), self.thresholds["default"]))

    def refiner(self, method: str, stage: int, target: str, scale: str) -> Refiner | None:
        """Return the refinement of the masks of such a map, or None if none was fitted for it."""
        return self.refinements.get((method, stage, target, scale))

    def class_index(self, target: str) -> int:
        """Index of the class ``target``; raise :class:`OptionError` naming the classes if there is none."""
        if target not in self.classes:
            raise OptionError(
                f"The model {self.name} has no class {target!r}; choose one of {', '.join(self.classes)}."
            )
        return self.classes.index(target)


def _calibration(entry: dict) -> Calibration:
    return {name: (v["slope"], v["intercept"], v["threshold"]) for name, v in entry.items()}


def _picture(entry: dict) -> PictureInput:
    numbers = (float(entry[key]) for key in ("centre", "width", "fill"))
    return PictureInput(*numbers, _calibration(entry["calibration"]), entry.get("mask_threshold"))


def _refinements(data: dict, where: str) -> dict[tuple[str, int, str, str], Refiner]:
    from ..refinement.refiner import Refiner  # scipy: not before there is a model to open

    found = {}
    for entry in data["explanation"].get("refinements", ()):
        method, stage, target, scale = (entry[key] for key in ("method", "stage", "target", "scale"))
        what = f"the mask refinement of {method} at stage {stage}"
        if method not in METHODS or target not in data["classes"]:
            raise ModelError(f"{where} holds {what} for {target!r}, a method or class that it does not have.")
        if (method, stage, target, scale) in found:
            raise ModelError(f"{where} holds {what} for {target!r} twice; remove one of them.")
        if entry["weights"] != data["weights"]["sha256"]:
            raise ModelError(
                f"{where} holds {what} that was fitted with other weights; remove it, or fit it again with "
                "`hemocam refine`."
            )
        found[method, stage, target, scale] = Refiner.from_dict(entry["refiner"], f"{where}: {what}")
    return found


def allowed_options() -> set[str]:
    """Names of the arguments of ``timm.create_model`` that a manifest may give."""
    return set(_schema()["properties"]["architecture"]["properties"]["options"]["properties"])


@cache
def _schema() -> dict:
    return json.loads((Path(__file__).parent / "model.schema.json").read_text(encoding="utf-8"))


@cache
def _validator() -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import extend

    def is_integer(
        _: object, value: object
    ) -> bool:  # in JSON Schema 256.0 is an integer; for timm it is none
        return isinstance(value, int) and not isinstance(value, bool)

    def is_array(_: object, value: object) -> bool:  # content that is yet to be written may hold tuples
        return isinstance(value, list | tuple)

    checker = Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": is_integer, "array": is_array})
    return extend(Draft202012Validator, type_checker=checker)(_schema())
