"""What tests of whole benchmarks share: a data set, a finished benchmark of it, and its numbers."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from benchmark_cases import PATIENTS, SPLITS, run_on, write_data

TEST = [name for name in PATIENTS if SPLITS.of[name] == "test"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("benchmark") / "data")


@pytest.fixture(scope="module")
def done(data, tiny_bundle, tmp_path_factory):
    """One finished benchmark; nobody changes it."""
    return run_on(data, tiny_bundle, tmp_path_factory.mktemp("benchmark") / "out")


def read(path):
    """Columns of a table as arrays."""
    table = pq.read_table(path)
    return {name: np.array(table[name].to_pylist()) for name in table.column_names}
