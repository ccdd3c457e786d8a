"""How good a model is: figures with intervals on virtual patients and on labelled pictures, and where it fails."""
