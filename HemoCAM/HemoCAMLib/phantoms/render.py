"""From a request to voxels: paint the head, let it bleed, put it through the scanner."""

from __future__ import annotations

import collections
import concurrent.futures
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from .artefacts import Artefacts
from .bleeding import Head
from .brain import Brain
from .face import AIR
from .frame import Frame, Placement, Warp
from .hemorrhage import bleed
from .incidental import Incidentals
from .population import KINDS
from .scanner import AIR_HU, Scanner
from .setup import Outline, Setup, slice_positions
from .skull import Skull
from .spec import PatientSpec
from .surgery import Surgery
from .sutures import Sutures

Made = TypeVar("Made")

# Sub-slices painted at once, on every device: painters skip what a block cannot hold, so that another partition
# would be another patient in some voxels. Few enough to stay near a CPU's cache.
_BLOCK = 12
# A generous guess at a patient's memory on the GPU in sizes of one layer: layers, their copies and temporaries.
_LAYERS = 60
# What the layers of a head hold in the air around it.
_LAYERS_IN_AIR = {
    "hu": AIR,
    "depth": -60.0,
    "vault": -60.0,
    "cavity": 0.0,
    "fluid": 0.0,
    "ventricle": 0.0,
    "dura": 0.0,
    "skin": -60.0,
}


class Painter:
    """The parts of one head that paint themselves, drawn in a fixed order."""

    def __init__(self, spec: PatientSpec) -> None:
        anatomy = spec.stream("anatomy")
        self.scale = tuple(np.clip(anatomy.normal(1.0, 0.045, 3), 0.9, 1.1).tolist())
        self.skull = Skull(anatomy, spec.stream("bone"), spec.without)
        self.brain = Brain(anatomy, spec.without)
        self.incidental = Incidentals(anatomy, spec.stream("dense"), spec.without)
        self.warp = Warp.draw(anatomy, 42.0, float(anatomy.uniform(0.8, 2.2)))
        self.skew = float(spec.stream("skew").normal(0, 0.025))
        if "asymmetry" in spec.without:
            self.warp, self.skew = None, 0.0
        self.sutures = Sutures(spec.stream("sutures"), spec.without)
        self.surgery = Surgery(spec.stream("surgery"), spec.without)

    def paint(self, whole: Frame, outline: Outline, parts: int, voxel_ml: float) -> tuple[Head, Tensor]:
        """Paint the head block by block of sub-slices; return it and the distance below the skin in mm."""
        layers = {
            name: torch.full(whole.shape, air, device=whole.device) for name, air in _LAYERS_IN_AIR.items()
        }
        for first in range(0, whole.shape[0], _BLOCK):
            block = slice(first, min(first + _BLOCK, whole.shape[0]))
            box = outline.box(whole.z_mm[block], whole.y_mm, whole.x_mm)
            if box is None:
                continue
            window = (block, *box)
            for layer, painted in zip(layers.values(), self._paint_block(whole.part(window)), strict=True):
                layer[window] = painted
        skin = layers.pop("skin")
        blood, stain = whole.zeros(), whole.zeros()
        return Head(whole, **layers, blood=blood, stain=stain, parts=parts, voxel_ml=voxel_ml), skin

    def _paint_block(self, frame: Frame) -> tuple[Tensor, ...]:
        """Paint a block; return the layers in the order of ``_LAYERS_IN_AIR``."""
        vault, edge = self.skull.vault_depth(frame)
        relief = self.skull.relief(frame)
        vault -= relief
        depth, wall, base, thick = self.skull.depth(frame, vault, edge)
        hu, skin = self.skull.paint(frame, vault, edge, base, thick, relief)
        self.sutures.paint(frame, vault, hu)
        cavity, fluid, ventricle = self.brain.paint(frame, depth, wall, hu)
        dura = self.incidental.paint(frame, depth, cavity, fluid, hu)
        self.surgery.paint(frame, vault, cavity, hu)
        return hu, depth, vault, cavity, fluid, ventricle, dura, skin


@torch.inference_mode()
def render(
    spec: PatientSpec, device: torch.device | str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
    """Return HU (int16), labels and intracranial space (uint8), all (K, J, I), IJK-to-RAS matrix, description."""
    device = torch.device(device)
    with torch.autocast(device.type, enabled=False):
        return _render(spec, device)


def _render(
    spec: PatientSpec, device: torch.device
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict]:
    painter, scan = Painter(spec), spec.stream("scan")
    scanner = Scanner(scan, spec.stream("posture"), spec.slice_mm, spec.without)
    setup = Setup.draw(spec.stream("setup"), scanner.round_field, spec.without)
    artefacts = Artefacts(spec.stream("artefacts"), spec.stream("streaks"), spec.without)
    drift = -float(np.tan(setup.tilt))
    place = Placement(scanner.pose, painter.scale, painter.warp, painter.skew, drift)

    z_mm = slice_positions(spec, setup, place, painter.skull, scanner.below_mm, scan)
    parts = max(1, round(spec.slice_mm / 2.5))
    step = setup.z_step(spec) / parts
    z_parts = (z_mm[:, None] + (np.arange(parts) - (parts - 1) / 2) * step).ravel()
    x_mm, y_mm = setup.planes(spec)
    outline = Outline(place, painter.skull)
    rows, columns = outline.box(z_parts, y_mm, x_mm) or (slice(0, 1), slice(0, 1))
    crop = (slice(None), rows, columns)
    pixel = spec.spacing_mm

    whole = Frame(z_parts, y_mm[rows], x_mm[columns], place, pixel, step, device)
    head, skin = painter.paint(whole, outline, parts, pixel**2 * setup.z_step(spec) / 1000)
    shares, found = bleed(
        head, spec.kinds, spec.lesion_ml, spec.stream("lesions"), spec.stream("texture"), spec.without
    )

    average = head.averaged
    middle = Frame(z_mm, y_mm[rows], x_mm[columns], place, pixel, step, device)
    skin = average(skin)
    picture = scanner.expose(
        middle, average(head.bled() if shares else head.hu), average(head.depth), average(head.cavity), skin
    )
    metal = [(*scanner.metal, 120.0)] if scanner.metal else []
    artefacts.expose(middle, picture, skin, metal + painter.surgery.metal())
    picture += scanner.noise(middle, skin)
    inside = average(head.cavity)
    for layer in (picture, inside):
        artefacts.shift(layer, pixel)
    ct = torch.full((len(z_mm), spec.size, spec.size), -1000.0, device=device)
    ct[crop] = picture
    ct.round_().clamp_(AIR_HU, 3071)
    scanner.surroundings(y_mm, x_mm, ct, setup)

    labels = torch.zeros(ct.shape, dtype=torch.uint8, device=device)
    for kind, share in shares.items():
        share = average(share)
        artefacts.shift(share, pixel)
        labels[crop].masked_fill_(share >= 0.5, KINDS.index(kind) + 1)
    intracranial = torch.zeros(ct.shape, dtype=torch.uint8, device=device)
    intracranial[crop] = (inside >= 0.5).to(torch.uint8)
    ct, labels = ct.round_().to(torch.int16).cpu().numpy(), labels.cpu().numpy()
    description = {
        "seed": spec.seed,
        "atrophy": painter.brain.atrophy,
        "contrast": painter.incidental.contrast,
        "surgery": painter.surgery.kind,
        "head_scale": list(painter.scale),
        "lesions": found,
        "ml": {kind: float((labels == KINDS.index(kind) + 1).sum() * head.voxel_ml) for kind in shares},
        "scanner": {**scanner.describe(), **setup.describe(), **artefacts.describe()},
    }
    return ct, labels, intracranial.cpu().numpy(), setup.affine(spec, z_mm), description


def make_in_order(
    make: Callable[[PatientSpec, torch.device], Made],
    specs: Iterable[PatientSpec],
    device: torch.device | str,
) -> Iterator[Made]:
    """Yield ``make(spec, device)`` for each of ``specs``, in order; on a GPU several are under way."""
    device = torch.device(device)
    if device.type != "cuda":
        for spec in specs:
            yield make(spec, device)
        return

    def on_own_stream(spec: PatientSpec) -> Made:
        with torch.cuda.device(device), torch.cuda.stream(torch.cuda.Stream(device)):
            return make(spec, device)

    threads = min(8, os.cpu_count() or 1)
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        under_way: collections.deque = collections.deque()
        for spec in specs:
            while under_way and len(under_way) >= _at_once(spec, device, threads):
                yield under_way.popleft().result()
            under_way.append(pool.submit(on_own_stream, spec))
        while under_way:
            yield under_way.popleft().result()


def _at_once(spec: PatientSpec, device: torch.device, threads: int) -> int:
    """How many patients like ``spec`` fit into what is free of the GPU's memory."""
    slices = 165 / spec.slice_mm * max(1, round(spec.slice_mm / 2.5))
    needed = 4 * _LAYERS * slices * spec.size**2
    free = torch.cuda.mem_get_info(device)[0]
    return int(np.clip(0.7 * free // needed, 1, threads + 2))
