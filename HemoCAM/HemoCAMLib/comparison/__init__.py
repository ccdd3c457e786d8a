"""Comparison of two masks: overlap, distances, and the table of SlicerRT's Segment Comparison."""
