"""Comparisons run at tiny sizes, so that those which are rarely run do not rot."""

import pytest
import sklearn.datasets  # noqa: F401  # whose first import moves the state of random
import torch

from benchmarks import digits, gpu, tables, throughput


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def cells(section: str) -> list[list[str]]:
    """Returns the cells of all lines of tables."""
    return [[c.strip() for c in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| ")]


@pytest.mark.slow
def test_gpu():
    section = gpu.main(gpu.Sizes(((32, 8),), ((100, 2),), rows=300, repeats=2))
    assert section.startswith("## ")
    found = {row[0]: row for row in cells(section)}
    assert found["32"][1:3] == ["8", "576"]
    kan, linear = gpu.KANLayer(8, 8, generator=torch.Generator()), gpu.nn.Linear(24, 24, bias=False, device="meta")
    assert kan.numeric.weight.numel() == linear.weight.numel() == 576
    assert found["100"][1] == "162"
    assert float(found["forward"][3].replace(",", "")) > 0


def test_throughput(capsys):
    section = throughput.main(rows=(100, 1_000), total=1_000)
    assert [row[0] for row in cells(section)] == ["rows", "---", "100", "1,000"]
    assert "Largest over smallest time a row" in section


def test_digits():
    section = digits.main(n_epochs=3)
    names = [row[0] for row in cells(section)][2:]
    assert names[:2] == ["kan2", "Gaussians, ten lines of torch"]
    assert all(float(row[-1]) > 0.5 for row in cells(section)[2:4])  # ten digits, so they have learned


def test_tables(capsys):
    rows = cells(tables.main(rows=300, columns=2))[2:]
    assert [row[0] for row in rows][:2] == ["plain CSV", "units in the header, a comment at the top"]
    assert all(float(row[3]) > 0 for row in rows)
