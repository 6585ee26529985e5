"""Checkpoints: a run written to a file, from which it goes on as if it had never stopped, bit for bit."""

import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from kan2.core.network import Network
from kan2.core.spec import NetworkSpec
from kan2.errors import SerializationError
from kan2.training._following import Moves
from kan2.training.grids import Snapshot
from kan2.training.loop import Training

LOG = logging.getLogger("kan2.training")
VERSION = 4


@dataclass(frozen=True)
class Checkpoints:
    """Where and how often a run is written down.

    Attributes:
        path: of the file; None for no checkpoints.
        every: steps between two of them.
    """

    path: str | os.PathLike[str] | None
    every: int

    def write(self, run: Training) -> None:
        """Writes the run if its step is due."""
        if self.path is not None and run.step % self.every == 0:
            save_checkpoint(run, self.path)
            LOG.info("checkpoint %s: stage %d, step %d", self.path, run.stage, run.step)

    def resume(self, run: Training) -> bool:
        """Puts a run into the state of the file; returns whether there is one."""
        if self.path is None or not Path(self.path).exists():
            return False
        load_checkpoint(run, self.path)
        return True


def save_checkpoint(run: Training, path: str | os.PathLike[str]) -> None:
    """Writes the state of a run; a file of this name is replaced in one move, so that it is always whole."""
    kept, best = run.grids.kept, run.recorder.best
    state = {
        "version": VERSION,
        "network": _pack(run.work),
        "solver": run.solver.state(),
        "place": [run.stage, run.step],
        "moves": asdict(run.grids.moves),
        "trail": run.trail,
        "rows": run.history.rows,
        "kept": None if kept is None else [kept[0], _pack_snapshot(run.work, kept[1])],
        "best": None if best is None else [best[0], best[1], _pack_snapshot(run.work, best[2])],
    }
    target = Path(path)
    part = target.with_name(target.name + ".part")
    torch.save(state, part)
    part.replace(target)


def load_checkpoint(run: Training, path: str | os.PathLike[str]) -> None:
    """Puts a run, made with the same arguments, into the state of a file.

    Raises:
        SerializationError: the file is no checkpoint, or one of another network.
    """
    cls = type(run.work)
    try:
        state = torch.load(path, weights_only=True)
        if state["version"] != VERSION:
            raise ValueError(f"version {state['version']}")
        network = _unpack(cls, state["network"])
    except Exception as error:
        raise SerializationError(f"fit: expected {path} to be a checkpoint of a run, got {error!r}.") from error
    if network.width != run.work.width:
        raise SerializationError(f"fit: expected a checkpoint of width {run.work.width}, got {network.width}.")
    if state["kept"] is not None:
        objective, packed = state["kept"]
        run.grids.kept = objective, Snapshot.of(_unpack(cls, packed))
    if state["best"] is not None:
        loss, row, packed = state["best"]
        run.recorder.best = loss, row, Snapshot.of(_unpack(cls, packed))
    run.work.layers, run.work.spec = network.layers, network.spec
    run.solver.set_state(state["solver"])
    run.stage, run.step = state["place"]
    run.grids.moves = Moves(**state["moves"])
    run.trail, run.history.rows = state["trail"], state["rows"]
    if run.history.rows:
        run.recorder.start -= run.history.rows[-1]["seconds"]


def _pack(model: Network) -> dict[str, Any]:
    frozen = [name for name, parameter in model.named_parameters() if not parameter.requires_grad]
    numbers = {name: value.clone() for name, value in model.state_dict().items()}
    return {"spec": model.spec.to_json(), "numbers": numbers, "frozen": frozen}


def _unpack(cls: type[Network], packed: dict[str, Any]) -> Network:
    model = cls.from_spec(NetworkSpec.from_json(packed["spec"]))
    model.load_state_dict(packed["numbers"])
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in packed["frozen"])
    return model.to(next(iter(packed["numbers"].values())))


def _pack_snapshot(work: Network, snapshot: Snapshot) -> dict[str, Any]:
    present = Snapshot.of(work)
    snapshot.restore_(work)
    packed = _pack(work)
    present.restore_(work)
    return packed
