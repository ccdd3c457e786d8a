"""What a report says of the model beyond the benchmark's manifest, kept beside the report for the next one."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import ModelError
from ..models.bundle import Bundle
from ..models.card import card
from .source import Benchmarked

FILE = "model.json"
UNKNOWN = "What trained this model is not known here; research only."


@dataclass(frozen=True)
class ModelFacts:
    """A model in a few words.

    Parameters
    ----------
    sha256:
        Of its weights.
    notice:
        First line of its card: who trained it.
    title, architecture, options:
        Of its manifest.
    """

    sha256: str
    notice: str
    title: str
    architecture: str
    options: dict

    @classmethod
    def of(cls, bundle: Bundle) -> ModelFacts:
        """Take them from a bundle."""
        manifest = bundle.manifest
        first = card(manifest).partition("\n")[0]
        return cls(bundle.sha256, first, manifest.title, manifest.architecture, dict(manifest.options))

    def text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def facts_of(found: Benchmarked, old: Path | None = None, bundle: Bundle | None = None) -> ModelFacts | None:
    """Facts of the model of a benchmark, from its bundle, an earlier report's folder, or the shipped bundles.

    Returns
    -------
    ModelFacts or None
        None where none of them has the weights that the benchmark names.

    Raises
    ------
    ModelError
        If ``bundle`` is given and has other weights.
    """
    sha256 = found.plan.sha256
    if bundle is not None:
        if bundle.sha256 != sha256:
            raise ModelError(
                f"The model {bundle.manifest.name} does not have the weights of this benchmark; give "
                f"--model the one whose weights have the SHA-256 {sha256}."
            )
        return ModelFacts.of(bundle)
    try:
        facts = old and ModelFacts(**json.loads((old / FILE).read_text(encoding="utf-8")))
        if facts and facts.sha256 == sha256:
            return facts
    except (OSError, ValueError, TypeError):
        pass
    try:
        shipped = Bundle.open(found.plan.model) if Path(found.plan.model).name == found.plan.model else None
        return ModelFacts.of(shipped) if shipped and shipped.sha256 == sha256 else None
    except ModelError:
        return None
