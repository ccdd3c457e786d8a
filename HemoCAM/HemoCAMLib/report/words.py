"""What methods, scales, rules and measures are called in a report, and what each measure is."""

from __future__ import annotations

METHOD_NAMES = {
    "gradcam": "GradCAM",
    "gradcam++": "GradCAM++",
    "xgradcam": "XGradCAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "eigencam": "EigenCAM",
    "eigengradcam": "EigenGradCAM",
    "ablationcam": "AblationCAM",
    "scorecam": "ScoreCAM",
    "ablationcam-library": "AblationCAM (library)",
    "random": "random numbers",
}

SCALE_TITLES = {
    "library": "Library scaling, the paper's",
    "gated": "Gated scaling, HemoCAM's",
    "volume": "Volume scaling",
}
SCALE_MEANINGS = {
    "library": "each slab is stretched to 0..1 by its own largest value, as pytorch-grad-cam does, whether the "
    "classifier calls it positive or not",
    "gated": "slabs below the classifier's probability gate show nothing, and the others share one scale, that of "
    "the scan's largest raw value among them",
    "volume": "all slabs of a scan share one scale, that of its largest raw value, without a gate",
}

RULE_NAMES = {"chosen": "threshold chosen", "percentile": "percentile chosen", "refined": "refined by HU"}

# label and, for the notes, what it is; all lie in 0..1 and larger is better, unless they say otherwise
MEASURES = {
    "dice": ("Dice", "2 TP / (2 TP + FP + FN), of pixels"),
    "iou": ("IoU", "TP / (TP + FP + FN)"),
    "precision": ("Precision", "TP / (TP + FP); slices without a mask are left out"),
    "recall": ("Recall", "TP / (TP + FN)"),
    "overlap": ("Overlap", "TP / min(mask, reference), the overlap coefficient"),
    "box_dice": ("Box Dice", "Dice of the areas that the bounding boxes of the connected parts cover"),
    "box_iou": ("Box IoU", "IoU of the same areas"),
    "box_matched_dice": ("Matched box Dice", "mean Dice of boxes paired one to one, unpaired ones counting 0"),
    "box_matched_iou": ("Matched box IoU", "the same with IoU"),
    "hit_loose": ("Hit rate, loose", "part of the reference's boxes that any box of the mask touches"),
    "hit_strict": ("Hit rate, strict", "part of them that a box of the mask meets with the stated IoU"),
    "right_loose": ("Boxes right, loose", "part of the mask's boxes that touch a box of the reference"),
    "right_strict": ("Boxes right, strict", "part of them that meet one with the stated IoU"),
    "pointing": ("Pointing game", "the map's highest pixel lies in the hemorrhage"),
    "pointing_near": ("Pointing, near", "it lies within the stated distance of it"),
    "energy_share": ("Energy inside", "part of the map's sum that lies in the hemorrhage"),
    "hd95_mm": ("HD95, mm", "95th percentile of the surface distances, mean of both directions; small is good"),
    "lesion_sensitivity": ("Lesions found", "part of the reference's connected parts that the mask finds"),
    "lesion_f1": ("Lesion F1", "F1 of found lesions and of parts of the mask that find one"),
    "false_positive_lesions": ("False lesions", "parts of the mask that touch no lesion, a scan; small is good"),
    "absolute_error_ml": ("Volume error, ml", "size of the difference of the volumes; small is good"),
    "error_ml": ("Bias, ml", "mask less reference; near 0 is good"),
    "relative_error": ("Relative error", "difference of the volumes as part of the reference's; near 0 is good"),
    "mask_ml": ("Mask, ml", "volume of the mask"),
    "quiet": ("Quiet", "part of the slices (or scans) without hemorrhage on which nothing is shown"),
    "deletion": ("Deletion", "area under the probability while the highest pixels go first; small is faithful"),
    "insertion": ("Insertion", "area under it while they come first; large is faithful"),
    "road": ("ROAD", "remove and debias, least against most relevant; large is faithful"),
    "spearman": ("Spearman", "rank correlation of a map with that of the model whose weights were lost"),
    "abs_spearman": ("|Spearman|", "its size, for lost weights may turn a map's sign; small is right"),
    "pearson": ("Pearson", "correlation of the same"),
}  # fmt: skip


def method_name(method: str) -> str:
    """What a report calls a method; its own name if it has none there."""
    return METHOD_NAMES.get(method, method)


def place_name(place: tuple[str, int]) -> str:
    """``HiResCAM at stage 5``."""
    return f"{method_name(place[0])} at stage {place[1]}"


def scale_title(scale: str) -> str:
    """Heading of a scale."""
    return SCALE_TITLES.get(scale, scale)


def label(metric: str) -> str:
    """Heading of a measure's column."""
    return MEASURES[metric][0] if metric in MEASURES else metric.replace("_", " ")


def definitions(metrics: tuple[str, ...]) -> str:
    """A line on what measures are."""
    return "; ".join(f"{MEASURES[m][0]}: {MEASURES[m][1]}" for m in metrics if m in MEASURES) + "."


def counted(count: int, what: str, plural: str = "") -> str:
    """``1 patient``, ``3 patients``."""
    return f"{count} {what if count == 1 else plural or what + 's'}"


def listed(words: list[str]) -> str:
    """``a, b and c``."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def named_pair(name: str) -> str:
    """What tables call ``hirescam @5`` or ``hirescam @5, gated``, in a report's words."""
    method, at, rest = name.partition(" @")
    return f"{method_name(method)} @{rest}" if at else method_name(name)
