"""Every code block of the README and the docs runs, block after block, in one namespace a page."""

import contextlib
import io
import pydoc
import re
import shlex
from pathlib import Path
from unittest.mock import patch

import pytest
import sklearn.metrics  # noqa: F401  # its import moves Python's random state, and no page may
import torch
from typer.testing import CliRunner

from kan2.cli import app
from kan2.core.bases import KINDS
from kan2.functions import table

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = [*PAGES, *sorted((ROOT / "docs" / "case_studies").glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
ROOMS = "kan2|kanpiler|treeconv|case_studies|tests|benchmarks|docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_code_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    namespace: dict = {"__name__": "docs"}
    # A page may seed torch, as its reader may, and what it registers ends with it.
    registries = patch.dict(KINDS), patch.dict(table._TABLE)
    with torch.random.fork_rng(), contextlib.redirect_stdout(io.StringIO()), registries[0], registries[1]:
        for block in blocks:
            exec(compile(block, f"{page.name}", "exec"), namespace)


def commands_of(page):
    """The command lines `kan2 ...` of the shell blocks of a page, as lists of words."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("kan2 ")]


@pytest.mark.parametrize("page", [page for page in PAGES if commands_of(page)], ids=lambda p: p.stem)
def test_commands_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for words in commands_of(page):
        # A search may take half a minute; what is shown here is that it begins and ends.
        is_brief = words[0] == "discover"
        result = CliRunner().invoke(app, [*words, *(["--seconds", "1"] if is_brief else [])])
        assert result.exit_code in ((0, 3) if is_brief else (0,)), (words, result.output)


@pytest.mark.parametrize("page", TEXTS, ids=lambda p: p.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", TEXTS, ids=lambda p: p.stem)
def test_files_and_names_exist(page):
    text = page.read_text()
    for path in re.findall(rf"`((?:{ROOMS})/[\w./]*)`", text):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"`((?:kan2|kanpiler|treeconv)(?:\.[A-Za-z_]\w*)+)", text):
        assert pydoc.locate(name) is not None, name
