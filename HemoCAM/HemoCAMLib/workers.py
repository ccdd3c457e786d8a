"""What every worker process needs."""

import multiprocessing
import os
import threading


def end_with_parent() -> None:
    """End this process when its parent has gone, even if that was killed."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
