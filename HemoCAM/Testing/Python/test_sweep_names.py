"""Names of cases as names of files: safe everywhere, and never two the same."""

import re
import unicodedata

import pytest
from HemoCAMLib.errors import InputError
from HemoCAMLib.sweep.names import check_names, file_name
from hypothesis import example, given
from hypothesis import strategies as st
from sweep_work import TinyCase

HOSTILE = [
    "", " ", ".", "..", "...", "a.", ".a", "a ", "a/b", "a\\b", "/etc/passwd", "../../up", "C:\\x", "c:x", "a:b",
    "a*b?", "con", "CON", "con.txt", "nul", "aux.tar.gz", "com1", "LPT9", "-", "~", "a~b", "a\nb", "a\0b", "tab\t",
    "é", "e\u0301", "ﬁ", "fi", "İ", "i", "ß", "ss", "A", "a", "PATIENT", "patient", "Patient", "patient 1",
    "x" * 64, "x" * 65, "x" * 5000, "x" * 4999, "日本", "日木", "\ud800", "a.part", "a.failed", "\u202egpj",
    "$MFT", "%00", "patient-1", "patient_1",
]  # fmt: skip
RESERVED = {"con", "prn", "aux", "nul"} | {f"{p}{n}" for p in ("com", "lpt") for n in range(10)}


def assert_safe(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9._~-]{1,64}", name)
    assert name[0] not in ".~-" and name[-1] not in ". "
    assert name.partition(".")[0] not in RESERVED


def test_hostile_names_are_safe_and_apart():
    found = {name: file_name(name) for name in HOSTILE}
    for mapped in found.values():
        assert_safe(mapped)
    # no two alike even where a file system ignores case or composes accents
    folded = {unicodedata.normalize("NFKC", m.casefold()) for m in found.values()}
    assert len(folded) == len(HOSTILE)


def test_plain_names_stay():
    for name in ("phantom-00001", "patient_7", "001", "id.3", "x" * 64):
        assert file_name(name) == name
    assert file_name("Patient 7").startswith("patient-7~")


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
@example("A", "a")
def test_any_two_names(one, other):
    assert_safe(file_name(one))
    assert file_name(one) == file_name(one)
    assert (file_name(one) == file_name(other)) == (one == other)
    # a name that looks like another's file is told apart from it
    assert file_name(file_name(one)) != file_name(one) or file_name(one) == one


def test_two_cases_of_one_name():
    with pytest.raises(InputError, match="Two cases are called 'a'"):
        check_names([TinyCase("b", 0), TinyCase("a", 1), TinyCase("a", 2)])
