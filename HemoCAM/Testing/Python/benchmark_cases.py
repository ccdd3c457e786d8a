"""What the tests of the benchmark share: a few tiny virtual patients, their splits, and runs on them."""

from pathlib import Path

from HemoCAMLib.benchmark.plan import Plan
from HemoCAMLib.benchmark.run import Finished, Machine, benchmark
from HemoCAMLib.datasets.finding import open_data_set
from HemoCAMLib.datasets.layouts import layout
from HemoCAMLib.datasets.phantoms import PhantomSet, specify
from HemoCAMLib.datasets.splits import Splits

PATIENTS = [f"phantom-{number:05d}" for number in range(1, 7)]
SPLITS = Splits(dict(zip(PATIENTS, ["test", "validation", "test", "train", "test", "test"], strict=True)))
METHODS, STAGES = ("hirescam", "layercam"), (1, 2)


def write_data(folder: Path) -> Path:
    """Six virtual patients of 64 x 64 pixels, five of them bleeding."""
    specs = specify(5, 3, size=64, slice_mm=[10], healthy=0, tilted=False)
    specs += specify(1, 4, size=64, slice_mm=[10], healthy=1, tilted=False)
    PhantomSet(specs, layout("volumes"), "test").write(folder)
    return folder


def plan_of(bundle, **choices) -> Plan:
    """Two methods at two stages of the tiny network."""
    return Plan.of(bundle, **{"methods": METHODS, "stages": STAGES, **choices})


def run_on(data: Path, bundle, output: Path, plan: Plan | None = None, splits=SPLITS, **options) -> Finished:
    """Benchmark the tiny network on a data set."""
    plan = plan or plan_of(bundle)
    return benchmark(open_data_set(data), splits, plan, bundle, output, "hemocam benchmark", **options)


def contents(output: Path) -> dict[str, bytes]:
    """Every file of a benchmark but those that only a resumed run needs."""
    files = (path.relative_to(output) for path in output.rglob("*") if path.is_file())
    return {f.as_posix(): (output / f).read_bytes() for f in sorted(files) if f.parts[0] != ".work"}


__all__ = [
    "METHODS",
    "PATIENTS",
    "SPLITS",
    "STAGES",
    "Machine",
    "contents",
    "plan_of",
    "run_on",
    "write_data",
]
