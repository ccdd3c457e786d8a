"""What tests of the report share."""

import shutil
from html.parser import HTMLParser

import pytest
from HemoCAMLib.doors.report import make_report
from HemoCAMLib.report.source import Benchmarked
from report_cases import plan_by_hand, write_benchmark


class Parsed(HTMLParser):
    """Tables by caption, as rows of (text, small print); all attributes, tags and texts."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tables, self.tags, self.attributes, self.texts = {}, [], [], []
        self._caption = self._row = self._cell = None
        self._small = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]
        if tag == "caption":
            self._caption = ""
        elif tag == "tr":
            self._row = []
            self.tables.setdefault(self._caption, []).append(self._row)
        elif tag in ("td", "th"):
            self._cell = ["", ""]
            self._row.append(self._cell)
        elif tag == "small":
            self._small = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = None
        elif tag == "small":
            self._small = False

    def handle_data(self, data):
        self.texts.append(data)
        if self.tags and self.tags[-1] == "caption" and self._cell is None and data.strip():
            self._caption += data
        if self._cell is not None:
            self._cell[self._small] += data


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A benchmark with known winners; nobody changes it."""
    return write_benchmark(tmp_path_factory.mktemp("report") / "out", plan_by_hand(refine=True), patients=18)


@pytest.fixture(scope="module")
def found(made):
    return Benchmarked.read(made)


@pytest.fixture(scope="module")
def reported(made, tmp_path_factory):
    """The same with its report."""
    folder = shutil.copytree(made, tmp_path_factory.mktemp("report") / "out")
    make_report(folder)
    return folder
