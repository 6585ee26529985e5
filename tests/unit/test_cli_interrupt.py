"""Ctrl-C: the best so far is printed and saved, or a command ends with status 130 and one line."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from signal import SIGINT

import pytest

ROOT = Path(__file__).resolve().parents[2]
# A shell's background jobs ignore the signal, and so would their children.
START = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from kan2.cli import main; main()"
)


@pytest.fixture
def table(tmp_path):
    rows = [f"{0.01 * i},{0.5 + 0.3 * (i % 7)},{(0.01 * i) ** 3 * (1 + i % 7) + i % 5}" for i in range(60)]
    (tmp_path / "t.csv").write_text("x,y,z\n" + "\n".join(rows) + "\n")
    return tmp_path / "t.csv"


def interrupted(words, sign, patience=60.0):
    """Runs a command, sends the signal once the sign is on stderr; returns status, stdout, stderr, seconds it took."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", START, *words]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stderr is not None
        seen, end = "", time.monotonic() + patience
        while sign not in seen and time.monotonic() < end:
            seen += process.stderr.readline()
        assert sign in seen, seen
        process.send_signal(SIGINT)
        start = time.monotonic()
        out, rest = process.communicate(timeout=patience)
        return process.returncode, out, seen + rest, time.monotonic() - start


@pytest.mark.slow
def test_discover_prints_the_best_so_far(table):
    words = [
        "discover",
        str(table),
        "-t",
        "z",
        "--attempts",
        "99",
        "--json",
        "--library",
        "x",
        "-i",
        "x",
        "--width",
        "1",
    ]
    status, out, err, seconds = interrupted(words, "attempt 2 of 99")
    found = json.loads(out)
    assert status == (0 if found["found"] else 3)
    assert found["interrupted"] is True
    assert found["out_of_time"] is False
    assert "Traceback" not in err
    assert seconds < 10


def test_a_command_without_a_result_ends_in_one_line(table):
    words = ["discover", "-", "-t", "z"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    code = START.replace("main()", "print('ready', file=sys.stderr, flush=True); main()")
    # Standard input never ends.
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=environment,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        assert process.stderr.readline() == "ready\n"
        time.sleep(0.2)
        process.send_signal(SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read() == "kan2: discover: interrupted before there was a result.\n"
