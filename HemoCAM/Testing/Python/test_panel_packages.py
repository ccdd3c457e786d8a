"""The one dialog for packages: agreed, declined, failed, a restart, and what waits for one."""

import pytest
from panel_cases import slicer  # noqa: F401


class Fake:
    """Packages that answer as told."""

    def __init__(self, plan="plan", error=None, restart=False, waiting=None, resume_error=None):
        self.plan_, self.error, self.restart, self.waiting = plan, error, restart, waiting
        self.resume_error = resume_error
        self.there, self.installed, self.forgotten, self.shown = False, 0, 0, []

    def missing(self, features=()):
        return [] if self.there else ["torch"]

    def ensure(self, ask, features, progress):
        from HemoCAMLib.packages import Outcome, PackageError, Trouble

        if self.error and self.there:
            raise self.error
        if self.there:
            return Outcome({}, {}, False, "All packages are there.")
        if not ask(self):
            raise PackageError(Trouble.DECLINED, "HemoCAM cannot analyse without torch.")
        return self.install(self, progress)

    features = ("analysis",)

    @property
    def text(self):
        return "Install torch, 200 MB, to run the network?"

    def install(self, plan, progress):
        from HemoCAMLib.packages import Outcome

        progress("Downloading torch", 1, 3)
        if self.error:
            raise self.error
        self.there, self.installed = True, self.installed + 1
        return Outcome({"torch": "2"}, {}, self.restart, "Installed torch.")

    def pending(self):
        return self.waiting

    def resume(self):
        if self.resume_error:
            raise self.resume_error
        return self

    def forget(self):
        self.forgotten += 1


@pytest.fixture
def asked(slicer, monkeypatch):
    """What was asked and told; ``answer`` is what the user says."""

    class Asked:
        answer, questions, errors, restarts = True, [], [], 0

    found = Asked()
    found.questions, found.errors = [], []

    def confirm(text, **_):
        found.questions.append(text)
        return found.answer

    monkeypatch.setattr(slicer.util, "confirmOkCancelDisplay", confirm)
    monkeypatch.setattr(slicer.util, "errorDisplay", lambda text, **more: found.errors.append((text, more)))
    monkeypatch.setattr(type(slicer.app), "testingEnabled", lambda self: False)
    from HemoCAMLib.panel import packages_dialog

    def restart():
        found.restarts += 1

    monkeypatch.setattr(packages_dialog, "restart", restart)
    return found


def dialog(fake):
    from HemoCAMLib.panel.packages_dialog import PackagesDialog

    return PackagesDialog(fake)


def test_nothing_is_asked_when_all_is_there(asked):
    fake = Fake()
    fake.there = True
    assert dialog(fake).ready() and not asked.questions


def test_what_does_not_go_together_is_told_at_every_apply(asked):
    from HemoCAMLib.packages import PackageError, Trouble

    fake = Fake(
        error=PackageError(Trouble.MISMATCH, "torch 2.9 and torchvision 0.21 do not match; reinstall.")
    )
    fake.there = True
    assert not dialog(fake).ready() and asked.errors[0][0].startswith("torch 2.9") and not asked.questions


def test_agreed(asked):
    shown = dialog(Fake())
    assert shown.ready() and shown.outcome == "Installed torch."
    assert asked.questions == ["Install torch, 200 MB, to run the network?"] and not asked.errors


def test_declined_is_no_error(asked):
    asked.answer = False
    shown, fake = dialog(Fake()), Fake()
    assert not shown.ready() and "without torch" in shown.outcome
    assert not asked.errors and not fake.installed


def test_a_failure_is_one_sentence_with_details(asked):
    from HemoCAMLib.packages import PackageError, Trouble

    fake = Fake(
        error=PackageError(Trouble.OFFLINE, "The server cannot be reached; connect.", "pip said much")
    )
    shown = dialog(fake)
    assert not shown.ready() and shown.outcome == "The server cannot be reached; connect."
    ((text, more),) = asked.errors
    assert text == shown.outcome and more["detailedText"] == "pip said much"


def test_an_unexpected_failure_is_told_too(asked):
    shown = dialog(Fake(error=ZeroDivisionError("odd")))
    assert not shown.ready() and "odd" in shown.outcome and len(asked.errors) == 1


def test_stopped_by_the_user(asked):
    from HemoCAMLib.errors import Cancelled

    shown = dialog(Fake(error=Cancelled("Stopped; nothing changed.")))
    assert not shown.ready() and shown.outcome == "Stopped; nothing changed." and not asked.errors


@pytest.mark.parametrize("answer", [True, False])
def test_a_restart_is_offered(asked, answer):
    fake = Fake(restart=True)
    shown = dialog(fake)
    asked.answer = True
    original = asked.questions

    class Answers(list):
        def append(self, text):
            asked.answer = answer if "Restart" in text else True
            super().append(text)

    asked.questions = Answers(original)
    assert not shown.ready()
    assert "Restart Slicer now?" in asked.questions[-1] and asked.restarts == answer


def test_what_waited_goes_on_once(asked):
    from HemoCAMLib.packages.pending import Pending
    from HemoCAMLib.packages.troubles import Trouble

    fake = Fake(waiting=Pending(("analysis",), Trouble.RESTART))
    shown = dialog(fake)
    shown.resume()
    shown.resume()
    assert fake.installed == 1 and len(asked.questions) == 1


def test_what_waited_is_forgotten_when_declined(asked):
    from HemoCAMLib.packages.pending import Pending
    from HemoCAMLib.packages.troubles import Trouble

    asked.answer = False
    fake = Fake(waiting=Pending(("analysis",), Trouble.RESTART))
    dialog(fake).resume()
    assert fake.forgotten == 1 and not fake.installed


@pytest.mark.parametrize(("trouble", "told"), [("EXTENSION", 0), ("OFFLINE", 1)])
def test_what_still_waits_is_not_told_again(asked, trouble, told):
    from HemoCAMLib.packages import PackageError, Trouble
    from HemoCAMLib.packages.pending import Pending

    error = PackageError(Trouble[trouble], "Still not.")
    fake = Fake(waiting=Pending(("analysis",), Trouble.EXTENSION), resume_error=error)
    dialog(fake).resume()
    assert len(asked.errors) == told
