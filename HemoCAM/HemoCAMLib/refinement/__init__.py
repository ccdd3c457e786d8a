"""Mask refinement: the map joined with what HU values say, after probabilistic fusion of map and intensity."""
