"""Files in a store that others read and write at the same time: by handles, through no link, whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import stat
import time
from contextlib import contextmanager, suppress

from checks import need

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO


LARGEST_RECORD_BYTES = 4 << 20  # of a result or an attempt, as readers of the store take them
THROUGH_A_LINK = "is a link, and nothing here is read or written through one; remove it"


class Folder:
    """A folder of the store, by its path below `root`.

    Whatever is done in it is done by handles, each opened in the one above and through no link: what others put there
    must not lead elsewhere. Raises OSError with the whole path; ELOOP for a link on the way.
    """

    def __init__(self, root: str, path: str) -> None:
        self.root, self.path = root, path

    def __str__(self) -> str:
        return f"{self.root}/{self.path}"

    def below(self, name: str) -> Folder:
        return Folder(self.root, f"{self.path}/{name}")

    @contextmanager
    def handle(self, make: bool = False) -> Iterator[int]:
        """Opened; with `make` it and the folders above are made where they are missing, but for the root."""
        handle = open_folder(self.root, self.path, make)
        try:
            yield handle
        except OSError as error:
            if not str(error.filename or "").startswith(self.root):
                error.filename = f"{self}/{error.filename or ''}".rstrip("/")
            raise
        finally:
            os.close(handle)

    def look(self, name: str) -> tuple[bytes, float]:
        """(content of a record, its mtime). On NFS a file that another client replaced while it was open gives ESTALE:
        open it again. Raises ValueError for what is no plain file of the usual size.
        """
        for last in (False, False, False, False, True):
            try:
                with self.handle() as handle:
                    return read_file(name, LARGEST_RECORD_BYTES, handle)
            except OSError as error:
                if last or error.errno != errno.ESTALE:
                    raise
        raise AssertionError("the last round returns or raises")

    def open(self, name: str) -> BinaryIO:
        """A plain file to read. Raises ValueError for anything else."""
        with self.handle() as handle:
            return os.fdopen(open_file(name, handle), "rb")

    def names(self) -> list[str]:
        """What is in it, sorted; nothing where it is missing."""
        try:
            with self.handle() as handle:
                return sorted(os.listdir(handle))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def now(self) -> float:
        """Seconds of the epoch by the clock that gives files here their times, on NFS the server's: machines may differ
        by hours. Ours where nothing can be written."""
        probe = f".now.{os.urandom(4).hex()}"
        try:
            with self.handle() as folder:
                handle = create(probe, folder)
                try:
                    return os.fstat(handle).st_mtime
                finally:
                    os.close(handle)
                    os.unlink(probe, dir_fd=folder)
        except OSError:
            return time.time()

    def write_new(self, name: str, value: object) -> None:
        """JSON, or bytes, into a file that is not there yet, on disk when this returns."""
        with self.handle() as handle:
            write_in(handle, name, value)

    def write_atomic(self, name: str, value: object, lasting: bool = True) -> None:
        """Replace a file that has one writer: readers see the old or the new one, also after a crash where it is
        `lasting`; else that takes a `sync`."""
        temporary = f".{name}.{os.urandom(4).hex()}"
        with self.handle() as handle:  # once: every attempt does this every 10 s, over NFS
            try:
                write_in(handle, temporary, value, lasting)
                os.rename(temporary, name, src_dir_fd=handle, dst_dir_fd=handle)
                if lasting:
                    sync_in(handle)
            finally:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=handle)

    def rename(self, old: str, new: str) -> None:
        with self.handle() as handle:
            os.rename(old, new, src_dir_fd=handle, dst_dir_fd=handle)

    def sync(self, name: str = "") -> None:
        """Make the names in it last, where the file system can, and before them the file of a name."""
        with self.handle() as handle:
            if name:
                opened = open_file(name, handle)
                try:
                    os.fsync(opened)
                finally:
                    os.close(opened)
            sync_in(handle)

    def remove(self, name: str) -> None:
        """Remove a file or folder that may be gone already, or as far as it can be; of a link the link alone."""
        with suppress(OSError), self.handle() as handle:
            remove_in(handle, name)


def open_folder(root: str, path: str, make: bool) -> int:
    """A handle of the folder `path` below `root`, through no link."""
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    for part in path.split("/"):
        above = handle
        try:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=above)
            handle = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
        except OSError as error:
            error.filename = f"{root}/{path}"
            if error.errno in (errno.ENOTDIR, errno.ELOOP) and is_link(part, above):
                raise OSError(errno.ELOOP, f"{part}: {THROUGH_A_LINK}", error.filename) from None
            raise
        finally:
            os.close(above)
    return handle


def is_link(name: str, folder: int) -> bool:
    with suppress(OSError):
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    return False


def create(name: str, folder: int, flags: int = 0) -> int:
    """A handle to write to a file that was not there."""
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | flags, 0o666, dir_fd=folder)


def write_in(folder: int, name: str, value: object, lasting: bool = True) -> None:
    """JSON, or bytes, into a file that was not there, on disk when this returns if it is `lasting`."""
    data = value if isinstance(value, bytes) else json.dumps(value, indent=2, allow_nan=False).encode() + b"\n"
    handle = create(name, folder)
    try:
        write_all(handle, data, name)
        if lasting:
            os.fsync(handle)
    finally:
        os.close(handle)


def sync_in(folder: int) -> None:
    """Make the names in a folder last, where the file system can."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise


def remove_in(folder: int, name: str) -> None:
    """Remove a file, or a folder with all that is in it; what cannot be removed stays. Raises OSError for that."""
    if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=folder)
        return
    handle = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        for inner in os.listdir(handle):
            with suppress(OSError, RecursionError):
                remove_in(handle, inner)
    finally:
        os.close(handle)
    os.rmdir(name, dir_fd=folder)


def read_file(path: str, most: int, folder: int | None = None) -> tuple[bytes, float]:
    """(the whole of a plain file, its mtime), without waiting for anybody and through no link at its end.

    `folder` is the handle of the folder that `path` is relative to. Raises ValueError for anything else than a plain
    file of at most `most` bytes, and OSError.
    """
    handle = open_file(path, folder)
    try:
        status, data = os.fstat(handle), b""
        while len(data) <= most:
            chunk = os.read(handle, most + 1 - len(data))
            if not chunk:
                return data, status.st_mtime
            data += chunk
        raise ValueError(f"has {status.st_size} bytes, more than {most} bytes")
    finally:
        os.close(handle)


def open_file(path: str, folder: int | None = None) -> int:
    """A handle of a plain file, as read_file() opens it. Raises ValueError for anything else, and OSError."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENXIO):
            raise
        raise ValueError("is not a file but a " + ("link" if error.errno == errno.ELOOP else "socket")) from None
    try:
        status = os.fstat(handle)
        need(stat.S_ISREG(status.st_mode), f"is not a file but a {stat.filemode(status.st_mode)}")
        return handle
    except ValueError:
        os.close(handle)
        raise


def read_bytes(path: str, most: int) -> bytes:
    """A file outside of the store, at most so much of it: kubelet mounts ConfigMaps as links."""
    with open(path, "rb") as opened:
        data = opened.read(most + 1)
    need(len(data) <= most, f"has more than {most} bytes")
    return data


@contextmanager
def naming(path: str) -> Iterator[None]:
    """An OSError raised in here names `path`: of a write the operating system says the reason alone."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or path
        raise


def write_all(handle: int, data: bytes, path: str) -> None:
    with naming(path):
        while data:
            data = data[os.write(handle, data) :]


def remove(path: str) -> None:
    """Remove a file or folder that may be gone already, or as far as it can be."""
    with suppress(OSError):
        if os.path.isdir(path) and not os.path.islink(path):
            import shutil

            shutil.rmtree(path, ignore_errors=True)
        else:
            os.unlink(path)


def remove_empty(folder: Folder) -> None:
    """Remove a folder in which nothing is, as far as it can go."""
    above, _, name = folder.path.rpartition("/")
    try:
        with Folder(folder.root, above).handle() as handle:
            os.rmdir(name, dir_fd=handle)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.EROFS):  # mounted alone it cannot go; empty it costs nothing
            raise
