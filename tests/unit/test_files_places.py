"""Where files lie: links, modes, what is no plain file, full disks, two writers at once, writers that were killed."""

import errno
import fcntl
import os
import pickle
import signal
import socket
import stat
import subprocess
import sys
import threading

import pytest
import torch

from kan2 import MultKAN
from kan2.errors import FileError, Kan2Error, MissingFileError, OptionError, SerializationError
from kan2.serialize import place


@pytest.fixture(scope="module")
def model():
    return MultKAN([2, 1], grid=2)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_links_stay_and_what_they_point_to_is_written(model, tmp_path):
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / "net.kan", tmp_path / "link.kan"
    link.symlink_to(target)
    model.save(link)  # to nowhere as yet
    first = target.stat().st_ino
    model.save(link)
    assert link.is_symlink()
    assert target.stat().st_ino != first
    assert MultKAN.load(link).spec == model.spec
    assert names(tmp_path) == ["link.kan", "there"]
    assert names(target.parent) == ["net.kan"]


def test_a_file_keeps_its_mode_and_a_new_one_has_that_of_the_umask(model, tmp_path):
    path = tmp_path / "net.kan"
    before = os.umask(0o027)
    try:
        model.save(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        for mode in (0o600, 0o666, 0o4755):
            path.chmod(mode)
            model.save(path)
            assert stat.S_IMODE(path.stat().st_mode) == mode
    finally:
        os.umask(before)


def no_files(folder):
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "socket"))
    (folder / "circle").symlink_to(folder / "circle")
    (folder / "file").write_bytes(b"")
    return [
        folder, folder / "pipe", folder / "socket", folder / "circle", folder / "file" / "below", folder / "a\0b",
        folder / ("x" * 300), "/dev/null", "/dev/zero", "", "/",
    ]  # fmt: skip


def test_what_is_no_plain_file_is_refused_both_ways(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path in no_files(tmp_path):
        before = names(tmp_path)
        with pytest.raises(FileError, match="save: expected"):
            model.save(path)
        with pytest.raises(FileError, match="load: expected"):
            MultKAN.load(path)
        assert names(tmp_path) == before


@pytest.mark.usefixtures("unchecked")
def test_what_is_no_path_is_refused(model):
    for path in (None, 3, [1]):
        with pytest.raises(OptionError, match="path of a file"):
            model.save(path)
        with pytest.raises(OptionError, match="path of a file"):
            MultKAN.load(path)


def test_folders_that_are_missing_are_named(model, tmp_path):
    with pytest.raises(MissingFileError, match="No such file or directory"):
        model.save(tmp_path / "no" / "net.kan")
    with pytest.raises(MissingFileError, match="no folder"):
        MultKAN.load(tmp_path / "no" / "net.kan")


def test_a_missing_file_is_named_with_similar_ones(model, tmp_path):
    model.save(tmp_path / "pendulum.kan")
    for kind in (FileNotFoundError, Kan2Error, SerializationError):
        with pytest.raises(kind, match=r"no file '.*pendlum\.kan'\. Did you mean 'pendulum\.kan'\?"):
            MultKAN.load(tmp_path / "pendlum.kan")
    (tmp_path / "link.kan").symlink_to("gone.kan")
    with pytest.raises(MissingFileError, match=r"link to 'gone\.kan'"):
        MultKAN.load(tmp_path / "link.kan")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "pickle"),
        (lambda path: torch.save({"a": 1}, path), r"torch\.save"),
        (lambda path: path.write_text("Once upon a time there was a network.\n" * 9), "something else"),
        (lambda path: path.write_text("a,b\n1,2\n"), "something else"),
    ],
)
def test_other_files_are_told_apart(tmp_path, write, message):
    write(tmp_path / "net.kan")
    with pytest.raises(SerializationError, match=message) as caught:
        MultKAN.load(tmp_path / "net.kan")
    assert "'net.kan'" in str(caught.value)


@pytest.mark.parametrize("device", ["cuda:99", "nonsense"])
def test_devices_that_are_not_there_are_refused(model, tmp_path, device):
    model.save(tmp_path / "net.kan")
    with pytest.raises(OptionError, match="map_location"):
        MultKAN.load(tmp_path / "net.kan", map_location=device)


def test_a_network_is_loaded_on_a_device(model, tmp_path):
    model.save(tmp_path / "net.kan")
    assert MultKAN.load(tmp_path / "net.kan", map_location="meta").like.device.type == "meta"


def test_a_protected_file_is_left_alone(model, tmp_path, monkeypatch):
    path = tmp_path / "net.kan"
    model.save(path)
    before = path.read_bytes()
    monkeypatch.setattr(place.os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(FileError, match="protected against writing"):
        MultKAN([1, 1]).save(path)
    assert path.read_bytes() == before
    assert names(tmp_path) == ["net.kan"]


@pytest.mark.parametrize("step", ["fsync", "open", "chmod"])
def test_a_failing_disk_leaves_the_old_file_and_nothing_else(model, tmp_path, monkeypatch, step):
    path = tmp_path / "net.kan"
    model.save(path)
    before = path.read_bytes()

    def fail(*_, **__):
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(place.os, step, fail)
    with pytest.raises(FileError, match=r"broken disk\. The old file is as it was") as caught:
        MultKAN([1, 1]).save(path)
    assert caught.value.errno == errno.EIO
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert names(tmp_path) == ["net.kan"]


WRITERS = """
import os, resource, signal, sys
from kan2 import MultKAN
from kan2.errors import FileError
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, resource.RLIM_INFINITY))
try:
    MultKAN([9, 9]).save(sys.argv[1])
except FileError as error:
    print(os.listdir(os.path.dirname(sys.argv[1])), error)
sys.stdout.flush()
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
MultKAN([1, 1], grid=1).save(sys.argv[1])
"""


@pytest.mark.slow
def test_a_full_disk_and_a_killed_writer_leave_the_old_file_and_the_next_writer_cleans_up(model, tmp_path):
    path = tmp_path / "net.kan"
    model.save(path)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", WRITERS, str(path)], env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.startswith("['net.kan'] save: expected")
    assert "too large. The old file is as it was" in done.stdout
    assert len(names(tmp_path)) == 2, "the killed writer should leave something"
    assert MultKAN.load(path).spec == model.spec
    other = tmp_path / "net.kan2"
    model.save(other)
    assert len(names(tmp_path)) == 3, "what is left of one target is no business of another"
    other.unlink()
    model.save(path)
    assert names(tmp_path) == ["net.kan"]


def test_a_file_in_the_making_is_not_taken_for_left_over(model, tmp_path):
    path = tmp_path / "net.kan"
    descriptor, temporary = place._create(path, 0o600)
    model.save(path)
    assert temporary.exists()
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    model.save(path)
    assert not temporary.exists()
    os.close(descriptor)


def test_many_threads_save_and_load_one_file(tmp_path):
    path = tmp_path / "net.kan"
    models = [MultKAN([1, 1], seed=seed) for seed in range(3)]
    weights = [model.layers[0].numeric.weight for model in models]
    models[0].save(path)
    problems = []

    def work(model):
        try:
            for _ in range(8):
                model.save(path)
                read = MultKAN.load(path).layers[0].numeric.weight
                assert any(torch.equal(read, weight) for weight in weights)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert names(tmp_path) == ["net.kan"]


def test_names_as_long_as_the_file_system_takes_are_fine(model, tmp_path):
    path = tmp_path / ("é" * 125 + ".kan")
    model.save(path)
    model.save(path)
    assert MultKAN.load(path).spec == model.spec
