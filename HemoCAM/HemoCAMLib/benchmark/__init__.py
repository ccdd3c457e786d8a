"""The paper's benchmark over a data set: maps, thresholds, measures, tables."""
