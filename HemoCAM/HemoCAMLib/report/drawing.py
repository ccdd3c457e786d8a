"""What all figures of a report share: their look, and files whose bytes depend on nothing but what is drawn."""

from __future__ import annotations

import io
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from ..evaluation.tables import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of Okabe and Ito, "Color universal design", 2008: told apart with any colour vision.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
GRID, DIM = "#e6e6e6", "#666666"
DPI = 160
_LOOK = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters everywhere
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.edgecolor": "#888888",
    "axes.linewidth": 0.7,
    "pdf.fonttype": 42,  # letters stay letters, as journals ask
    "svg.hashsalt": "hemocam",
    "text.usetex": False,
    "text.parse_math": False,  # a name with dollar signs is a name
    "axes.unicode_minus": False,
}


@contextmanager
def canvas(width: float, height: float):  # noqa: ANN201  (a context manager)
    """A new figure of so many inches in the report's look, whatever a user's own settings are."""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_LOOK)
        figure = Figure(figsize=(width, height), dpi=DPI, facecolor="white", layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def save(figure: Figure, folder: Path, name: str) -> bytes:
    """Write ``name.pdf`` and ``name.png``, without dates; return the PNG."""
    drawn = {}
    for kind, metadata in (
        ("pdf", {"CreationDate": None, "Creator": None, "Producer": None}),
        ("png", {"Software": None}),
    ):
        sink = io.BytesIO()
        figure.savefig(sink, format=kind, metadata=metadata, facecolor=figure.get_facecolor())
        drawn[kind] = sink.getvalue()
        write_bytes(drawn[kind], folder / f"{name}.{kind}")
    return drawn["png"]


def plain_axes(axes: object) -> None:
    """Take the upper and right lines off."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
