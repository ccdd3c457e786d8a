"""Data sets of head CTs with labels on disk: their layouts, and sets of virtual patients written in them."""
