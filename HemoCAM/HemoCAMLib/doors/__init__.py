"""The doors: the ``hemocam`` command, the files it leaves, its pictures. They compute nothing of their own."""
