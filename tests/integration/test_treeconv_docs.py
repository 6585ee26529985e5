"""The code of docs/treeconv.md runs as it stands."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import torch

TEXT = (Path(__file__).parents[2] / "docs" / "treeconv.md").read_text()


def test_every_code_block_runs_in_order(capsys):
    blocks = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    assert len(blocks) >= 5
    space: dict = {}
    with torch.random.fork_rng():
        for block in blocks:
            exec(compile(block, "docs/treeconv.md", "exec"), space)
    plt.close("all")
    out = capsys.readouterr().out
    printed = re.findall(r"```text\n(.*?)```", TEXT, flags=re.DOTALL)[0]
    kinds = [line.split("  (")[0] for line in printed.splitlines()]
    assert [line.split("  (")[0] for line in out.splitlines()[: len(kinds)]] == kinds
    assert "F1(f1(a) + f2(b)) + F2(f3(c) + f4(d))*f5(e)" in out
