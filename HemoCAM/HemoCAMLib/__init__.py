"""HemoCAM: where did a hemorrhage classifier look, and was it right?

The library behind the 3D Slicer module, the ``hemocam`` command and plain Python. Data flows one way,
from volume to report, and imports go one way, downward:

1. numbers: ``volumes``, ``models``, ``cams``, ``comparison``, ``phantoms``, ``training``, ``pipeline``
   (numpy, torch, SimpleITK; no vtk, no slicer, no qt)
2. ``scene``: MRML nodes in, MRML nodes out (vtk and slicer; no qt, no torch)
3. ``doors``: the command line, its files and pictures

Research software. Not for clinical use.
"""

__version__ = "0.1.0"
