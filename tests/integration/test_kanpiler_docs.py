"""Every code block of the compiler's manual runs, in order, in one namespace."""

import re
from pathlib import Path


def test_manual_runs():
    text = (Path(__file__).parents[2] / "docs" / "kanpiler.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 10
    namespace: dict = {}
    for block in blocks:
        exec(compile(block, "docs/kanpiler.md", "exec"), namespace)
