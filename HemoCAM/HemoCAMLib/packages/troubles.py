"""What can go wrong with packages: each in one sentence with a way out; pip's own messages recognised."""

from __future__ import annotations

import re
from enum import Enum

from ..errors import HemoCAMError
from .versions import canonical, requirement, satisfies


class Trouble(str, Enum):  # noqa: UP042  (StrEnum changes str(); the value goes into settings)
    """The kinds of trouble."""

    DECLINED = "declined"
    EXTENSION = "extension"
    RESTART = "restart"
    MISMATCH = "mismatch"
    CONFLICT = "conflict"
    OFFLINE = "offline"
    PROXY = "proxy"
    CERTIFICATE = "certificate"
    SPACE = "space"
    PERMISSION = "permission"
    UNAVAILABLE = "unavailable"
    BUILD = "build"
    BROKEN = "broken"
    BUSY = "busy"
    UNKNOWN = "unknown"


class PackageError(HemoCAMError):
    """The packages are not there, for a reason that the message gives in one sentence with its way out.

    Parameters
    ----------
    trouble:
        Which kind.
    message:
        The sentence.
    log:
        What pip printed, for a "Details" button; empty where pip did not run.
    """

    def __init__(self, trouble: Trouble, message: str, log: str = "") -> None:
        super().__init__(message)
        self.trouble = trouble
        self.log = log


# Each kind by what pip prints, the more special one first: a proxy's failure also reads like being offline, and
# pip tells after either that it found no version.
_SIGNS: tuple[tuple[Trouble, str], ...] = (
    (
        Trouble.PROXY,
        r"ProxyError|Tunnel connection failed|Cannot connect to proxy|407 Proxy|Proxy Authentication",
    ),
    (
        Trouble.CERTIFICATE,
        r"certificate verify failed|CERTIFICATE_VERIFY_FAILED|SSLError|SSLCertVerification",
    ),
    (
        Trouble.SPACE,
        r"No space left on device|\[Errno 28\]|not enough space on the disk|\[WinError 112\]|Disk quota",
    ),
    (Trouble.RESTART, r"\[WinError 32\]|being used by another process"),
    (
        Trouble.PERMISSION,
        r"Permission denied|\[Errno 13\]|\[WinError 5\]|Access is denied|Read-only file system",
    ),
    (Trouble.CONFLICT, r"ResolutionImpossible|conflicting dependencies|The user requested \(constraint\)"),
    (
        Trouble.OFFLINE,
        r"name resolution|Name or service not known|getaddrinfo failed|nodename nor servname|Network is unreachable"
        r"|No route to host|Failed to establish a new connection|NewConnectionError|Connection refused"
        r"|Connection reset|ConnectionResetError|RemoteDisconnected|Read timed out|ReadTimeoutError|ConnectTimeout"
        r"|IncompleteRead|[Cc]onnection broken|50[234] Server Error|[Cc]ould not fetch URL",
    ),
    (
        Trouble.BUILD,
        r"subprocess-exited-with-error|metadata-generation-failed|Failed building wheel|Failed to build",
    ),
    (Trouble.UNAVAILABLE, r"No matching distribution found|Could not find a version that satisfies"),
)

_SENTENCES = {
    Trouble.PROXY: "The proxy of this network let nothing through; set the environment variable HTTPS_PROXY to "
    "http://user:password@host:port as your administrator tells, restart Slicer, and press Apply again.",
    Trouble.CERTIFICATE: "The package server's certificate could not be verified, as behind a proxy that inspects "
    "traffic; set the environment variable PIP_CERT to your network's certificate file, restart Slicer, and press "
    "Apply again.",
    Trouble.SPACE: "The disk is full; free some space where Slicer is installed and press Apply again.",
    Trouble.RESTART: "A file that had to be written is in use; restart Slicer, open HemoCAM, and the installation "
    "goes on.",
    Trouble.PERMISSION: "Slicer may not write into its own Python folder; install Slicer where you may write, or "
    "start it once as administrator, and press Apply again.",
    Trouble.OFFLINE: "The package server could not be reached; connect this computer to the internet and press Apply "
    "again.",
}


# Installers' own tools: to have them replaced is the business of the PyTorch extension, whose installer is so picky.
_TOOLS = ("pip", "setuptools", "wheel")


def explain(output: str, code: int) -> PackageError:
    """Say in one sentence why pip stopped.

    Parameters
    ----------
    output:
        All that pip printed.
    code:
        Its exit code.
    """
    trouble = next((kind for kind, signs in _SIGNS if re.search(signs, output)), Trouble.UNKNOWN)
    if trouble in _SENTENCES:
        sentence = _SENTENCES[trouble]
    elif trouble is Trouble.CONFLICT:
        sentence = _conflict(output)
    elif trouble is Trouble.UNAVAILABLE:
        wanted = _match(r"satisfies the requirement (.+?) *(?:[(]|$)", output)
        sentence = (
            f"The package server was not reached, or has no {wanted} that fits this Python and what Slicer has; "
            f"try again later, or use the current Slicer."
        )
    elif trouble is Trouble.BUILD:
        name = _match(r"(?:Failed building wheel for|Failed to build) '?([\w.-]+)", output)
        sentence = (
            f"{name} could not be built from its source; choose the engine hemocam, which does without it."
        )
    else:
        last = _match(r"(?:ERROR|[A-Z]\w+Error): (.+)", output, last=True).rstrip(".")
        sentence = f"pip stopped with code {code} ({last}); see the details, and press Apply to try again."
    return PackageError(trouble, sentence, output)


def _conflict(output: str) -> str:
    """Name who wanted what, and what stood against it."""
    wishes = re.findall(r"^ +(\S+(?: \S+)?) depends on (.+)$", output, re.MULTILINE)
    held = re.findall(r"The user requested \(constraint\) (\S+)", output)
    way_out = "use the current Slicer, or remove the extension that brought"
    for there in held:
        name, _, version = there.partition("==")
        for who, what in wishes:
            if _name(what) == _name(name) and not _fits(version, what):
                refused = (
                    f"{who} needs {what.strip()}, but Slicer has {name} {version}, which HemoCAM does not "
                )
                if _name(name) in _TOOLS:
                    return (
                        f"{refused}replace; install PyTorch in the module PyTorch Utils, which settles this itself, "
                        f"and press Apply again."
                    )
                return f"{refused}replace; {way_out} {name}."
    wanted = _match(r"Cannot install (.+?) because", output)
    if held:
        return (
            f"{wanted} does not go with {held[0].replace('==', ' ')}, which Slicer has and HemoCAM does not replace; "
            f"{way_out} {_name(held[0])}."
        )
    return f"{wanted} does not go with what Slicer has, and HemoCAM replaces nothing; use the current Slicer."


def _fits(version: str, what: str) -> bool:
    """Whether a version fulfils a requirement; pip's list of a conflict has wishes that are no problem, too."""
    try:
        return bool(version) and satisfies(version, requirement(what))
    except ValueError:
        return False


def _name(text: str) -> str:
    """Name of the distribution that a requirement begins with."""
    return canonical(re.split(r"[\s=<>!~;(\[]", text.strip())[0])


def _match(pattern: str, text: str, *, last: bool = False) -> str:
    found = re.findall(pattern, text, re.MULTILINE)
    return found[-1 if last else 0].strip() if found else "a package"
