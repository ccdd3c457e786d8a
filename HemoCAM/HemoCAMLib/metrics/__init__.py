"""How well maps and masks agree with pixel labels: pixels, boxes, peaks, lesions, and the thresholds between."""
