"""Draw the panel off screen, with results on the virtual patient: ``python draw_panel.py Docs/panel.png``."""

import sys
from pathlib import Path

from panel_cases import Opened, slicer_app


def draw(path: Path, width: int = 440) -> None:
    """Run the shipped model on the virtual patient in a panel, and write what the panel looks like then."""
    reason = slicer_app.why_not()
    if reason:
        sys.exit(reason)
    slicer_app.install()
    import slicer
    from HemoCAMLib.panel.sample_data import make_sample

    nodes = make_sample(slicer.mrmlScene)
    panel = Opened(slicer)
    panel.ui.referenceSelector.setCurrentNode(nodes.labels)
    panel.apply(seconds=600)
    panel.parent.show()
    panel.parent.resize(width, panel.parent.sizeHint.height() + 20)
    panel.spin(seconds=0.5)
    panel.parent.grab().save(str(path))
    panel.close()


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
