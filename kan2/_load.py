"""`kan2.load`: a network from its file, a theory where it was compiled from one."""

import os

import torch

from kan2.errors import named_options
from kan2.multkan import MultKAN


@named_options
def load(path: str | os.PathLike[str], map_location: torch.device | str | None = None) -> MultKAN:
    """Reads a network that `save` wrote; it is the same bit for bit.

    Args:
        path: of the file.
        map_location: device of the network; by default the CPU.

    Returns:
        the network; a `kanpiler.Theory` where the file holds one.

    Raises:
        MissingFileError: no such file; it is a `FileNotFoundError` too.
        FileError: it is no plain file, or may not be read.
        OptionError: there is no such device here.
        SerializationError: not a file of a network, a damaged one, or one of a version that is not known.

    Example:
        >>> import tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "net.kan")
        >>> MultKAN([2, 1]).save(path)
        >>> load(path).width
        [[2, 0], [1, 0]]
    """
    model = MultKAN.load(path, map_location=map_location)
    if model.spec.theory is None:
        return model
    from kanpiler.theory.theory import Theory  # and with it the compiler, which other networks do without

    return Theory.load(path, map_location=map_location)
