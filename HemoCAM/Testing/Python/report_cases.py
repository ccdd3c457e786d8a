"""Benchmarks made by hand for the tests of the report: rows are drawn with known winners, tables made of them."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from conftest import tiny_manifest
from HemoCAMLib.benchmark.columns import table_of
from HemoCAMLib.benchmark.figures import BOX_MEANS, HITS
from HemoCAMLib.benchmark.plan import CHOSEN, PERCENTILE, REFINED, Plan
from HemoCAMLib.benchmark.summary import Merged, summarise, write_tables
from HemoCAMLib.metrics.pixels import PIXEL_METRICS, PixelCounts
from HemoCAMLib.models.manifest import Manifest
from HemoCAMLib.phantoms.patient import KINDS

SLICES, PIXELS = 8, 4096
THRESHOLDS = tuple(np.linspace(0.1, 0.9, 9).tolist())


def plan_by_hand(**choices) -> Plan:
    """Three methods at the paper's stages, both scales; anything else as asked for."""
    usual = {
        "model": "tiny", "sha256": "ab" * 32, "methods": ("gradcam", "hirescam", "ablationcam"),
        "stages": (4, 5, 6), "scales": ("library", "gated"), "target": "any", "gate": 0.5,
        "thresholds": THRESHOLDS, "rules": (PERCENTILE, "otsu"), "percentiles": (90.0, 95.0, 97.0),
    }  # fmt: skip
    return Plan(**usual | choices)


def skill_of(winners: dict[str, tuple[str, int]], lead: float = 0.2):
    """How good each map is, 0..1: ``lead`` better for the winner of each scale, the others alike."""
    return lambda scale, method, stage: 0.45 + lead * ((method, stage) == winners.get(scale))


def write_benchmark(
    folder: Path, plan: Plan | None = None, skill=None, patients=12, noise=0.05, layout="volumes",
    names=None, failed=None, seed=7,
) -> Path:  # fmt: skip
    """Write the folder of a finished benchmark whose slices were drawn; every third scan is without blood."""
    plan = plan or plan_by_hand()
    skill = skill or skill_of({"library": ("ablationcam", 5), "gated": ("hirescam", 5)})
    names = names or [f"case-{n:02d}" for n in range(patients)]
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    slices, volumes, predictions = [], [], []
    for n, name in enumerate(names):
        truth = np.zeros(SLICES, int)
        if n % 3 != 2:
            truth[2:6] = rng.integers(60, 400, 4)
        kind = KINDS[n % len(KINDS)]
        for scale, method, stage in plan.combinations:
            for rule in (CHOSEN, *plan.rules, *_refined(plan, scale, method, stage)):
                good = np.clip(skill(scale, method, stage) + (0.1 if rule == REFINED else 0), 0, 1)
                rows, volume = _drawn(rng, truth, good, noise, scale == "gated")
                head = {
                    "case": name,
                    "patient": name,
                    "scale": scale,
                    "method": method,
                    "stage": stage,
                    "rule": rule,
                }
                slices.append(_rows({**head, "kind": np.where(truth > 0, kind, "")}, rows))
                volumes.append(_rows({**head, "kind": kind if truth.any() else ""}, volume))
        predictions.append(_predictions(rng, name, truth, kind))
    for table, parts in (("slices", slices), ("volumes", volumes), ("predictions", predictions)):
        pq.write_table(pa.concat_tables(parts), folder / f"{table}.parquet")
    tables = {"thresholds": _thresholds(plan, skill), "curves": _curves(plan, skill)}
    tables |= summarise(Merged(folder, tuple(names)), plan, Manifest.of(tiny_manifest()))
    write_manifest(folder, plan, tables, layout, names, failed)
    return folder


def write_manifest(folder: Path, plan: Plan, tables: dict, layout="volumes", names=(), failed=None) -> None:
    """Write tables, and the manifest that names them."""
    files = [*write_tables(tables, folder), *(path.name for path in folder.glob("*.parquet"))]
    content = {
        "title": "Benchmark of class activation maps",
        "command": "hemocam benchmark DATA --output DIR",
        "data": {"layout": layout, "cases": 2 * len(names), "patients": 2 * len(names), "sha256": "cd" * 32},
        "model": {"name": plan.model, "weights": plan.sha256, "manifest": "ef" * 32},
        "threads": 1,
        "versions": {"HemoCAM": "0.0", "Python": "3.11", "numpy": "2.0", "torch": ""},
        "plan": plan.to_json(),
        "splits": {
            "sha256": "12" * 32, "thresholds chosen on": "validation",
            "patients": {"train": 0, "validation": len(names), "test": len(names)},
        },
        "failed": failed or {},
        "files": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")


def _refined(plan, scale, method, stage):
    """The refined rule for one map, the first of the gated ones."""
    first = (plan.methods[0], plan.stages[0])
    return (REFINED,) if plan.refine and scale == "gated" and (method, stage) == first else ()


def _rows(head: dict, columns: dict) -> pa.Table:
    count = len(next(iter(columns.values())))
    return table_of({k: np.broadcast_to(np.asarray(v), (count,)) for k, v in head.items()} | columns)


def _drawn(rng, truth, good, noise, gated):
    """Rows of a scan's slices, and the row of the scan."""
    level = np.clip(good + rng.normal(0, noise, SLICES), 0.02, 1)
    tp = np.round(level * truth).astype(int)
    fp = np.round((1 - level) * truth).astype(int) + (0 if gated else 30) * (truth == 0)
    counts = PixelCounts(tp, fp, truth - tp, PIXELS - truth - fp)
    boxes = {m: np.where(truth > 0, level * (0.9 if "dice" in m else 0.8), 0.0) for m in BOX_MEANS}
    some, shown = (truth > 0).astype(int), (tp + fp > 0).astype(int)
    hits = {}
    for part, whole in HITS.values():
        hits[whole] = some if "truth" in whole else shown
        hits[part] = ((level > 0.45) & (some > 0)).astype(int)
    energy = {"energy_inside": level * some, "energy_total": np.ones(SLICES), "energy_share": level * some}
    pixels = {n: getattr(counts, n) for n in ("tp", "fp", "fn", "tn")} | {
        n: f(counts) for n, f in PIXEL_METRICS.items()
    }
    slices = {
        "slice": np.arange(1, SLICES + 1), "threshold": np.full(SLICES, 0.4), "truth_px": truth,
        "truth_mm2": truth.astype(float), **pixels, **boxes, **hits, **energy,
        "pointing": (level > 0.5).astype(float), "pointing_near": np.ones(SLICES),
    }  # fmt: skip
    whole = counts.pooled()
    one = {n: [getattr(whole, n).item()] for n in ("tp", "fp", "fn", "tn")}
    one |= {n: [f(whole).item()] for n, f in PIXEL_METRICS.items()}
    ml, mask = truth.sum() / 100, (tp + fp).sum() / 100
    return slices, {
        "threshold": [0.4], "truth_px": [int(truth.sum())], "truth_ml": [float(ml)], "mask_ml": [float(mask)],
        "error_ml": [float(mask - ml)], "absolute_error_ml": [float(abs(mask - ml))],
        "relative_error": [float(mask / ml - 1) if ml else np.nan],
        "hd95_mm": [float(30 * (1 - level.mean())) if ml else np.nan],
        "lesion_sensitivity": [float(level.mean()) if ml else np.nan],
        "lesion_f1": [float(level.mean()) if ml else np.nan],
        "false_positive_lesions": [float((fp > 30).sum())], "pointing": [float(level.mean() > 0.5)],
        "energy_share": [float(level.mean()) if ml else 0.0], **one,
    }  # fmt: skip


def _predictions(rng, name, truth, kind):
    manifest = Manifest.of(tiny_manifest())
    said = {
        f"p_{c}": np.clip(0.3 + 0.4 * (truth > 0) + rng.normal(0, 0.15, SLICES), 0, 1)
        for c in manifest.classes
    }
    labels = {f"truth_{c}": ((truth > 0) & (c in ("any", kind))).astype(float) for c in manifest.classes}
    columns = {
        "slice": np.arange(1, SLICES + 1), "slab": np.arange(SLICES) // 2, "gate": said["p_any"] >= 0.5,
        "truth_px": truth, "truth_mm2": truth.astype(float), "kind": np.where(truth > 0, kind, ""),
    }  # fmt: skip
    return _rows({"case": name, "patient": name}, {**columns, **said, **labels})


def _swept(plan):
    """Rules whose threshold is chosen, what is tried, and which of it is best."""
    found = {CHOSEN: (plan.thresholds, 3)}
    return found | ({PERCENTILE: (plan.percentiles, 1)} if PERCENTILE in plan.rules else {})


def _thresholds(plan, skill):
    rows = []
    for rule, (steps, best) in _swept(plan).items():
        for scale, method, stage in plan.combinations:
            good = skill(scale, method, stage)
            rows.append(
                {"scale": scale, "rule": rule, "method": method, "stage": stage, "metric": plan.metric,
                 "over": plan.over, "threshold": steps[best], "at_edge": False, "split": "validation",
                 "slices": 40, "positive_slices": 16, "value": good + 0.01, "test": good, "best_test": good + 0.02}
            )  # fmt: skip
    return _table(rows)


def _curves(plan, skill):
    rows = []
    for split, loss in (("validation", 0.0), ("test", 0.03)):
        for rule, (steps, best) in _swept(plan).items():
            for scale, method, stage in plan.combinations:
                for place, threshold in enumerate(steps):
                    value = max(skill(scale, method, stage) - 0.02 * abs(place - best) - loss, 0)
                    names = {f"{m}{e}": value for m in PIXEL_METRICS for e in ("", "_pixels", "_all_pixels")}
                    head = {"split": split, "scale": scale, "rule": rule, "method": method, "stage": stage}
                    rows.append({**head, "threshold": threshold, **names})
    return _table(rows)


def _table(rows):
    return table_of({name: np.array([row[name] for row in rows]) for name in rows[0]})
