"""Training a bundle from virtual patients: samples, augmentation, the loop, calibration, export."""
