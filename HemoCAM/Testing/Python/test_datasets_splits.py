"""Splits: every patient in one, the same from the same seed, a fair share of hemorrhages; files and their faults."""

import numpy as np
import pytest
from HemoCAMLib.datasets.finding import open_data_set
from HemoCAMLib.datasets.folders import Reading
from HemoCAMLib.datasets.splits import FRACTIONS, SPLITS, Splits, bleeding_patients, read_splits
from HemoCAMLib.errors import InputError, OptionError
from hypothesis import given
from hypothesis import strategies as st
from labelled_sets import change_rows, write_set


def people(ill, well):
    return {f"ill{n}": True for n in range(ill)} | {f"well{n}": False for n in range(well)}


@given(ill=st.integers(3, 80), well=st.integers(0, 80), seed=st.integers(0, 2**32), mix=st.randoms())
def test_drawn_splits_share_out_everybody(ill, well, seed, mix):
    everybody = people(ill, well)
    splits = Splits.drawn(everybody, seed)
    parts = [splits.patients(name) for name in SPLITS]
    assert sorted(p for part in parts for p in part) == sorted(everybody)
    for group, size in ((True, ill), (False, well)):
        counts = [sum(everybody[p] is group for p in part) for part in parts]
        if size >= 3:
            assert min(counts) >= 1
        if size >= 10:
            assert all(abs(c - f * size) <= 1 for c, f in zip(counts, FRACTIONS, strict=True))
    shuffled = list(everybody.items())
    mix.shuffle(shuffled)
    assert Splits.drawn(dict(shuffled), seed) == splits


def test_another_seed_gives_other_splits():
    drawn = [Splits.drawn(people(20, 20), seed).of for seed in range(5)]
    assert len({tuple(sorted(of.items())) for of in drawn}) == 5


def test_a_split_may_be_empty_and_the_test_comes_first():
    splits = Splits.drawn(people(2, 1), 0, (0.0, 0.5, 0.5))
    assert splits.patients("train") == () and len(splits.patients("test")) == 2
    assert len(Splits.drawn(people(9, 0), 0, (0, 0, 1)).patients("test")) == 9


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (OptionError, (people(9, 9), 0, (0.5, 0.5))),
        (OptionError, (people(9, 9), 0, (0.5, 0.6, 0.2))),
        (OptionError, (people(9, 9), 0, (1.5, -0.5, 0))),
        (OptionError, (people(9, 9), -1)),
        (InputError, (people(2, 9), 0)),
    ],
)
def test_what_cannot_be_drawn(error, arguments):
    with pytest.raises(error):
        Splits.drawn(*arguments)


@given(
    st.dictionaries(
        st.text("abc,\"' é", min_size=1).filter(lambda t: t == t.strip()), st.sampled_from(SPLITS)
    )
)
def test_a_written_file_comes_back(tmp_path_factory, of):
    path = tmp_path_factory.mktemp("s") / "splits.csv"
    Splits(of).write(path)
    assert Splits.read(path, of).of == of


def test_names_of_splits_are_understood(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("patient_name,slice,split\na,1,Train\na,2,training\nb,1,val\nc,1, TEST \n")
    assert Splits.read(path, "abc").of == {"a": "train", "b": "validation", "c": "test"}


def test_every_fault_of_a_file_is_told(tmp_path):
    path = tmp_path / "s.csv"
    path.write_text("patient,split\na,train\na,test\na,val\nb,hold-out\nstranger,test\nc,val\n")
    splits, faults = read_splits(path, ["a", "b", "c", "d"])
    assert faults == [
        "s.csv puts the patient a into train and test: it leaks; choose one.",
        "Line 5 of s.csv has the split 'hold-out'; there are train, validation, test.",
        "Line 6 of s.csv names the patient 'stranger', who is not in the data set.",
        "s.csv does not say in which split d is.",
    ]
    assert splits.of["c"] == "validation"
    with pytest.raises(InputError, match=r"it leaks; choose one; and 3 more faults"):
        Splits.read(path, ["a", "b", "c", "d"])
    path.write_text("patient,part\n")
    with pytest.raises(InputError, match=r"s\.csv lacks the column split"):
        Splits.read(path, [])


@pytest.mark.parametrize("name", ["volumes", "hemorica", "ct-ich"])
def test_who_bleeds_is_in_the_table_or_in_the_masks(tmp_path, name, monkeypatch):
    write_set(tmp_path, name, count=4)
    data = open_data_set(tmp_path)
    expected = [True, False, True, True]
    assert list(bleeding_patients(data).values()) == expected
    if name == "volumes":
        (tmp_path / "slices.csv").unlink()
        data, read = open_data_set(tmp_path), []
        steps = []
        monkeypatch.setattr("HemoCAMLib.datasets.case.read_ct", lambda *_: read.append(1))
        assert list(bleeding_patients(data, lambda *s: steps.append(s)).values()) == expected
        assert not read and len(steps) == 4
        (tmp_path / "masks" / "phantom-00002.nii.gz").unlink()
        with pytest.raises(InputError, match="whether phantom-00002 has a hemorrhage"):
            bleeding_patients(open_data_set(tmp_path, Reading(masks_needed=False)))
    if name == "hemorica":
        change_rows(tmp_path / "slices.csv", lambda rows: [r | {"hemorrhage_binary": ""} for r in rows])
        assert list(bleeding_patients(open_data_set(tmp_path)).values()) == expected


def test_cases_follow_their_patients(tmp_path):
    write_set(tmp_path, count=4)
    (tmp_path / "cases.csv").write_text("case,patient\nphantom-00001,Q\nphantom-00003,Q\n")
    data = open_data_set(tmp_path)
    splits = Splits({"Q": "train", "phantom-00002": "validation", "phantom-00004": "test"})
    names = {split: [case.name[-1] for case in splits.cases(data, split)] for split in SPLITS}
    assert names == {"train": ["1", "3"], "validation": ["2"], "test": ["4"]}
    assert np.array_equal(list(bleeding_patients(data)), ["Q", "phantom-00002", "phantom-00004"])
