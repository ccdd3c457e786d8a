"""Tables, mapping files and .npy slices from anywhere: read, or refused with one sentence."""

import io
import pickle

import labelled_sets
import numpy as np
import pytest
from HemoCAMLib.datasets.finding import find, open_data_set
from HemoCAMLib.datasets.label_code import LabelCode, kind_of, read_label_code
from HemoCAMLib.datasets.npy import npy_shape, read_npy
from HemoCAMLib.datasets.slice_table import read_ct_ich_table, read_slice_table
from HemoCAMLib.errors import InputError
from hypothesis import given
from hypothesis import strategies as st
from labelled_sets import write_set

HEADER = "patient_name,slice_number,hemorrhage_binary"


def table_of(tmp_path, text, read=read_slice_table):
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path)


def one_sentence(text):
    assert "\n" not in text and len(text) < 300 and text.endswith(".")


# ---- tables


def test_a_table_is_read_with_kinds_by_any_name(tmp_path):
    text = f"{HEADER},EDH,IPH,Subdural,sah_hemorrhage\np,1,1,1,0,0,\np,2,0,,,,\np,3,,,,,\n"
    table = table_of(tmp_path, text)
    assert table.faults == []
    assert table.patients == {"p": {1: (1, 1, 0, None, None, 0), 2: (0,) * 6, 3: (None,) * 6}}


@pytest.mark.parametrize(
    "text",
    [
        f"{HEADER}\nq,7,1\n",
        f"\ufeff{HEADER}\r\nq,7,1\r\n",
        "patient_name;slice_number;hemorrhage_binary\nq;7;1\n",
        " patient_name, slice_number,hemorrhage_binary,x\n q , 7.0,1.0,anything\n",
        'hemorrhage_binary,slice_number,patient_name\n1,7,"q"\n',
    ],
)
def test_a_table_of_other_programs(tmp_path, text):
    table = table_of(tmp_path, text)
    assert table.faults == [] and table.patients["q"][7][0] == 1


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("p,one,1", "'one' in the column slice_number"),
        ("p,1.5,1", "'1.5'"),
        ("p,-1,1", "'-1'"),
        ("p,nan,1", "'nan'"),
        ("p,1e400,1", "'1e400'"),
        ("p,2,2", "labels are 0, 1 or empty"),
        ("p,2,yes", "'yes' in the column hemorrhage_binary"),
        ("p", "'' in the column slice_number"),
        (",2,1", "'' in the column patient_name"),
        ("../../etc/passwd,2,1", "names no file"),
        ("C:\\x,2,1", "names no file"),
        ("..,2,1", "names no file"),
        (f"{'x' * 500},2,1", "names no file"),
        ("p\x00,2,1", "names no file"),
        ("p,1,1\np,1,0", "names slice 1 of p a second time"),
    ],
)
def test_every_bad_line_has_its_sentence(tmp_path, row, words):
    table = table_of(tmp_path, f"{HEADER}\ngood,1,1\n{row}\n")
    assert len(table.faults) == 1 and words in table.faults[0]
    assert table.faults[0].startswith(f"Line {4 if 'second' in words else 3} of t.csv")
    one_sentence(table.faults[0])
    assert table.patients["good"] == {1: (1, None, None, None, None, None)}


def test_all_bad_lines_are_told_but_not_a_million(tmp_path):
    assert len(table_of(tmp_path, f"{HEADER}\n" + "p,x,1\n" * 3).faults) == 3
    faults = table_of(tmp_path, f"{HEADER}\n" + "p,x,1\n" * 5000).faults
    assert len(faults) == 201 and "further lines" in faults[-1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xff\xfe\x00n", "no text in UTF-8"),
        (b"patient_name,slice_number\n", "lacks the column hemorrhage_binary"),
        (f"{HEADER},slice_number\n".encode(), "two columns named slice_number"),
        (f'{HEADER}\n"p,1,1\n'.encode(), "cannot be read as CSV"),
        (f"{HEADER}\np,1,{'1' * 200_000}\n".encode(), "cannot be read as CSV"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, words):
    with pytest.raises(InputError, match=words) as caught:
        table_of(tmp_path, content)
    one_sentence(str(caught.value))


@given(st.binary(max_size=200))
def test_no_bytes_end_otherwise(tmp_path_factory, content):
    """Any bytes after a good header are a table, with faults or without, or refused."""
    folder = tmp_path_factory.mktemp("t")
    try:
        table = table_of(folder, HEADER.encode() + b"\n" + content)
    except InputError as error:
        one_sentence(str(error))
    else:
        assert all("\n" not in fault for fault in table.faults)


def test_the_table_of_ct_ich(tmp_path):
    header = (
        "PatientNumber,SliceNumber,Intraventricular,Intraparenchymal,Subarachnoid,Epidural,Subdural,"
        "No_Hemorrhage,Fracture_Yes_No\n"
    )
    rows = "49,1,0,0,0,0,0,1,0\n49,2,1,0,0,0,1,0,1\n50,1,0,0,0,1,0,1,0\n50,2,0,0,0,0,0,0,0\n050,3,0,0,0,0,0,1,0\n"
    table = table_of(tmp_path, header + rows, read_ct_ich_table)
    assert table.patients["49"] == {1: (0,) * 6, 2: (1, 0, 0, 1, 0, 1)}
    assert list(table.patients["50"]) == [3]
    assert "names a kind of hemorrhage" in table.faults[0] and "names no kind" in table.faults[1]


def test_names_out_of_a_table_leave_the_folder_alone(tmp_path):
    """A name with a path in it reaches no file, even where that file is a good slice."""
    write_set(tmp_path / "set", "hemorica", count=1)
    (tmp_path / "secret_1.npy").write_bytes((tmp_path / "set/images/phantom-00001_1.npy").read_bytes())
    with (tmp_path / "set" / "slices.csv").open("a") as stream:
        stream.write("../../secret,1,0,0,0,0,0,0\nsecret,1,0,0,0,0,0,0\n")
    data, found = find(tmp_path / "set")
    assert all(path.parent.parent == (tmp_path / "set").resolve() for c in data.cases for path in c.files)
    assert (
        len(found.faults) == 2
        and "names no file" in found.faults[0]
        and "lacks secret_1.npy" in found.faults[1]
    )


# ---- what the labels mean


@pytest.mark.parametrize(
    "name", ["Epidural", "EDH", "EPH", "epidural_hemorrhage", " extradural", "epidural hematoma"]
)
def test_kinds_have_many_names(name):
    assert kind_of(name) == "epidural" and kind_of("contusion") is None


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        ('{"epidural": 1, "subdural": 5}', ((1, 1), (5, 5))),
        ('{"background": 0, "SDH": [2, 7], "SAH": 3}', ((2, 5), (3, 4), (7, 5))),
        ('{"0": "background", "1": "IVH", "2": "IPH"}', ((1, 3), (2, 2))),
        ('{"hemorrhage": 255}', None),
        ("{}", None),
    ],
)
def test_mapping_files(tmp_path, content, kinds):
    (tmp_path / "m.json").write_text(content)
    assert read_label_code(tmp_path / "m.json") == LabelCode(kinds)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[1, 2]", "no object"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ('{"tumour": 1}', "'tumour', which is no kind"),
        ('{"epidural": 0}', "0 is the background"),
        ('{"epidural": -1}', "whole numbers"),
        ('{"epidural": 1.5}', "whole numbers"),
        ('{"epidural": true}', "whole numbers"),
        ('{"epidural": 1, "subdural": 1}', "two meanings"),
        ('{"epidural": 1, "hemorrhage": 2}', "kinds and a hemorrhage without kind"),
        ('{"hemorrhage": 7}', "0 and 1, or 0 and 255"),
    ],
)
def test_mapping_files_that_make_no_sense(tmp_path, content, words):
    (tmp_path / "m.json").write_text(content)
    with pytest.raises(InputError, match=words) as caught:
        read_label_code(tmp_path / "m.json")
    assert "m.json" in str(caught.value)


@given(st.lists(st.sampled_from([0, 1, 3, 9, 70000]), min_size=1, max_size=30))
def test_labels_are_decoded_one_by_one(values):
    code = LabelCode(((1, 4), (3, 1), (9, 4), (70000, 5)))
    expected = [{0: 0, 1: 4, 3: 1, 9: 4, 70000: 5}[v] for v in values]
    for dtype in (np.int32, np.float64):
        assert code.decode(np.array(values, dtype), "m").tolist() == expected
    assert LabelCode().unknown(np.array(values)) == sorted(set(values) - {0, 1, 255})


def test_labels_without_a_meaning_are_named():
    with pytest.raises(InputError, match=r"m holds the labels 2, 3, which nothing names; name the kinds"):
        LabelCode().decode(np.array([0, 1, 2, 3]), "m")
    with pytest.raises(InputError, match=r"m holds the label 6, .* add its meaning"):
        LabelCode(((1, 1),)).decode(np.array([1, 6]), "m")
    assert LabelCode().decode(np.array([[0, 255]]), "m").tolist() == [[0, 1]]
    assert LabelCode().decode(np.array([[False, True]]), "m").dtype == np.uint8


# ---- slices as .npy


class Bomb:
    """Unpickled, it leaves a trace."""

    def __reduce__(self):
        return (open, ("pickle-was-loaded", "w"))


def npy(array, **options):
    stream = io.BytesIO()
    np.save(stream, array, **options)
    return stream.getvalue()


def header_only(shape):
    text = f"{{'descr': '<i2', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


GOOD = npy(np.arange(12, dtype=np.int16).reshape(3, 4))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"not a number", "no .npy file"),
        (pickle.dumps(Bomb()), "no .npy file"),
        (npy(np.array([[Bomb()]], object), allow_pickle=True), "pickle"),
        (npy(np.array([["a"]])), "no plain numbers"),
        (npy(np.ones((2, 2), complex)), "no plain numbers"),
        (npy(np.zeros((2, 2), [("a", "i2")])), "no plain numbers"),
        (npy(np.ones((2, 2, 2))), "no rows and columns"),
        (npy(np.ones((0, 5))), "no rows and columns"),
        (npy(np.float64(1)), "no rows and columns"),
        (header_only("(-1, 5)"), "no rows and columns"),
        (header_only("(1000000000000, 1000000000000)"), "too large"),
        (header_only("(16384, 16384)"), "too large"),
        (header_only("(100, 100)"), "cut off"),
        (header_only("__import__('os')"), "no .npy file"),
        (GOOD[:-1], "cut off"),
        (GOOD[:40], "no .npy file"),
        (npy(np.array([[1.0, np.nan], [np.inf, 0]])), "2 pixels that are no numbers"),
    ],
)
def test_bad_slices_are_refused(tmp_path, content, words, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.npy").write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_npy(tmp_path / "s.npy", "images/s.npy")
    assert str(caught.value).startswith("images/s.npy ")
    one_sentence(str(caught.value))
    assert not (tmp_path / "pickle-was-loaded").exists()


@pytest.mark.parametrize("dtype", ["i2", ">i2", "u1", "f8", ">f4", "?"])
def test_good_slices_are_read(tmp_path, dtype):
    array = np.arange(12).reshape(3, 4).astype(dtype)
    np.save(tmp_path / "s.npy", np.asfortranarray(array))
    assert npy_shape(tmp_path / "s.npy", "s") == (3, 4)
    read = read_npy(tmp_path / "s.npy", "s")
    assert (read == array).all() and read.dtype.isnative


@given(place=st.integers(0, len(GOOD) - 1), value=st.integers(0, 255), keep=st.integers(0, len(GOOD)))
def test_damaged_slices_never_end_otherwise(tmp_path_factory, place, value, keep):
    content = bytearray(GOOD)
    content[place] = value
    path = tmp_path_factory.mktemp("n") / "s.npy"
    path.write_bytes(content[:keep])
    try:
        assert read_npy(path, "s").ndim == 2
    except InputError as error:
        one_sentence(str(error))


def test_slices_that_are_not_hu_or_do_not_fit(tmp_path):
    write_set(tmp_path, "hemorica", count=1)
    path = tmp_path / "images" / "phantom-00001_3.npy"
    np.save(path, np.load(path)[:-1])
    with pytest.raises(InputError, match=r"images/phantom-00001_3\.npy is 47 x 48, other slices .* 48 x 48"):
        open_data_set(tmp_path).cases[0].load()
    for file in (tmp_path / "images").iterdir():
        np.save(file, np.full((48, 48), 7, np.uint8) + np.eye(48, dtype=np.uint8))
    with pytest.raises(InputError, match=r"from 7 to 8: they are not in HU"):
        open_data_set(tmp_path).cases[0].load()


def test_padding_of_slices_becomes_air(tmp_path):
    (ct, _), *_ = write_set(tmp_path, "hemorica", count=1)
    path = tmp_path / "images" / "phantom-00001_1.npy"
    padded = ct.array[0].astype(np.float64)
    padded[:3] = -3024
    np.save(path, padded)
    read = open_data_set(tmp_path).cases[0].load()
    assert (read.ct.array[0, :3] == -1024).all() and read.ct.array.dtype == np.int16
    assert np.array_equal(read.ct.array[0, 3:], ct.array[0, 3:])


def test_a_case_of_labels_needs_whole_numbers(tmp_path):
    write_set(tmp_path, "hemorica", count=1)
    path = tmp_path / "masks" / "phantom-00001_6.npy"
    for change in (lambda m: m * 0.5, lambda m: -m.astype(np.int16)):
        np.save(path, change(labelled_sets.patient(1)[1].array[5]))
        with pytest.raises(InputError, match=r"masks/phantom-00001_6\.npy is no label map"):
            open_data_set(tmp_path).cases[0].load()
