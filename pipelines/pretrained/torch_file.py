"""Tensors out of a file that `torch.save` wrote, without torch: nothing else is unpickled.

A pickle may name any function, which reading it would call. Here three names are known, which make
tensors; any other one refuses the file. The format is that of torch before 1.6: five pickles, then
the numbers of each storage.
"""

import pickle
import struct
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pipelines.errors import DataError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
ZIP_START = b"PK"  # of the format since torch 1.6
STORAGES: Mapping[str, type[np.generic]] = {
    "FloatStorage": np.float32,
    "HalfStorage": np.float16,
    "DoubleStorage": np.float64,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
}
BYTES_A_COUNT = 8  # before the numbers of each storage: how many they are


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a state dict by name.

    Raises:
        DataError: the file is truncated, or holds anything but tensors; the message says what.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file. Expected the weights of a network")
    try:
        with path.open("rb") as file:
            return _read(file)
    except _NotAllowed as error:
        raise DataError(
            f"{path}: holds {error}. Expected tensors and nothing else: it is not read"
        ) from None
    except (pickle.UnpicklingError, EOFError, ValueError, struct.error, KeyError) as error:
        raise DataError(f"{path}: cannot be read, it may be truncated: {error}") from error
    except (TypeError, AttributeError, IndexError, MemoryError, OverflowError) as error:
        raise DataError(f"{path}: is no file of tensors: {error}") from error


class _NotAllowed(Exception):
    """A pickle names something that makes no tensor."""


@dataclass(frozen=True)
class _Tensor:
    """Which numbers of which storage a tensor consists of."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _tensor(storage: str, offset: int, shape: Any, strides: Any, *_: object) -> _Tensor:
    return _Tensor(storage=storage, offset=offset, shape=tuple(shape), strides=tuple(strides))


class _TensorUnpickler(pickle.Unpickler):
    """Reads tensors, and remembers the type and the size of each storage."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, tuple[type[np.generic], int]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in STORAGES:
            return name
        raise _NotAllowed(f"{module}.{name}")

    def persistent_load(self, identity: Any) -> str:
        _, kind, key, _, count = identity[:5]
        self.storages[key] = (STORAGES[kind], int(count))
        return str(key)


def _read(file: BinaryIO) -> dict[str, np.ndarray]:
    start = file.read(len(ZIP_START))
    if start == ZIP_START:
        raise _NotAllowed("a zip archive, which torch writes since 1.6")
    file.seek(0)
    if _TensorUnpickler(file).load() != MAGIC_NUMBER:
        raise ValueError("it does not begin as torch's files do")
    for _ in ("version", "machine"):
        _TensorUnpickler(file).load()
    unpickler = _TensorUnpickler(file)
    tensors = unpickler.load()
    keys = _TensorUnpickler(file).load()
    numbers = {key: _read_storage(file, *unpickler.storages[key]) for key in keys}
    arrays = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, _Tensor):
            raise _NotAllowed(f"{name}, a {type(tensor).__name__}")
        arrays[str(name)] = _as_array(tensor, numbers[tensor.storage])
    return arrays


def _read_storage(file: BinaryIO, kind: type[np.generic], expected: int) -> np.ndarray:
    (count,) = struct.unpack("<q", file.read(BYTES_A_COUNT))
    if count != expected:
        raise ValueError(f"{count} numbers where {expected} were announced")
    dtype = np.dtype(kind)
    received = file.read(count * dtype.itemsize)
    if len(received) != count * dtype.itemsize:
        raise EOFError("the numbers end too early")
    return np.frombuffer(received, dtype)


def _as_array(tensor: _Tensor, numbers: np.ndarray) -> np.ndarray:
    """Return the tensor's own numbers; strides count numbers, not bytes."""
    if len(tensor.shape) != len(tensor.strides) or min(tensor.strides, default=0) < 0:
        raise ValueError("a tensor's strides do not belong to its shape")
    extents = zip(tensor.shape, tensor.strides, strict=True)
    last = tensor.offset + sum((size - 1) * stride for size, stride in extents)
    if min(tensor.shape, default=1) < 1 or tensor.offset < 0 or last >= len(numbers):
        raise ValueError("a tensor reaches beyond its storage")
    strides = [stride * numbers.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides)
    return view.copy()
