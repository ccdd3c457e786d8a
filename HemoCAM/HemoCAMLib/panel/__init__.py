"""The panel in 3D Slicer: one file a concern, handed to each other through constructors.

``qt``, ``ctk`` and ``slicer.app`` are used here and nowhere below. What is decided without them (``models``,
``requests``, ``work``, ``exporting``) runs, and is tested, without an application.
"""
