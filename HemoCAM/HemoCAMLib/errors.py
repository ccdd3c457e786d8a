"""What can go wrong, each as one sentence for the user and an exit code for the shell."""


class HemoCAMError(Exception):
    """A failure whose message is one sentence that says what is wrong and what to do."""

    exit_code = 1


class InputError(HemoCAMError):
    """The input is not what HemoCAM works on: not a CT, not a head, empty, truncated, wrong geometry."""

    exit_code = 2


class ModelError(HemoCAMError):
    """A model bundle is incomplete, damaged or asks for what does not exist."""

    exit_code = 2


class OptionError(HemoCAMError):
    """An option has a value that makes no sense for this input or model."""

    exit_code = 2


class OutputError(HemoCAMError):
    """The result cannot be written where the user asked for it."""

    exit_code = 3


class Cancelled(HemoCAMError):  # noqa: N818  (it is no error, only the end)
    """The user stopped the work."""

    exit_code = 130

    def __init__(self, message: str = "Stopped; nothing was written.") -> None:
        super().__init__(message)
