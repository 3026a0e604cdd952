"""The one place that opens files which others may have put there: those in values/, out/ and a result store.

Nothing is read or written through a link that leads out of its folder, nobody is waited for (a FIFO, a device), a file
is read up to a bound, and written so that a reader, or a crash, never sees half of it.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from sweep import leftovers
from sweep.errors import BadInput, naming

NO_SYNC = (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS)
"""What file systems say that sync no folders (NFS, some FUSE ones)."""
ROOM_BYTES = 64 << 20
CONFLICT = re.compile(rb"^(<{7}|>{7}) ", re.MULTILINE)


def check_merged(data: bytes, shown: str) -> None:
    """Raise BadInput with the line where git left a conflict of a merge in a file."""
    if marker := CONFLICT.search(data):
        line = data.count(b"\n", 0, marker.start()) + 1
        raise BadInput(f"{shown}:{line}: a conflict of a merge; keep what is right, and remove the marked lines")


CAREFULLY = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
STALE_RETRIES = 5
KINDS = {stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFIFO: "FIFO", stat.S_IFSOCK: "socket"}


NO_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENAMETOOLONG)


def says_none(error: OSError) -> bool:
    """Whether an error says that there is no such file, but nothing or something else. Any other is no answer."""
    return error.errno in NO_FILE


def kind(mode: int) -> str:
    """What there is in the place of a file, in a word."""
    return KINDS.get(stat.S_IFMT(mode), "device")


def short(path: Path) -> str:
    """A path as messages name it: its last three parts."""
    return "/".join(path.parts[-3:])


# ---- files of people: values/ and out/ ----


def place(path: Path, root: Path | None = None) -> Path:
    """`path`, or where it leads to if it is a link that stays below `root` (default: its folder).

    Raises BadInput for a link that leads out of there, and for what is no file.
    """
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            within = Path(os.path.realpath(root or path.parent))
            real = Path(os.path.realpath(path))
            if not real.is_relative_to(within):
                raise BadInput(
                    f"{short(path)}: is a link to {path.readlink()}, which lies outside of {within.name}/; "
                    "put the file itself there"
                )
            path, status = real, real.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return path
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(f"{short(path)}: is a {kind(status.st_mode)} and no file; move it away")
    return path


def exists(path: Path, root: Path | None = None) -> bool:
    """Whether there is a file. Raises BadInput as `place` does."""
    return os.path.lexists(place(path, root))


def open_handle(path: Path, flags: int = os.O_RDONLY, root: Path | None = None) -> int:
    """A handle of a file, opened in the handle of its folder. Raises BadInput as `place` does, and OSError."""
    path = place(path, root)
    with naming(path):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            handle = os.open(path.name, flags | CAREFULLY, 0o666, dir_fd=folder)
        finally:
            os.close(folder)
    if stat.S_ISREG(mode := os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    raise BadInput(f"{short(path)}: is a {kind(mode)} and no file; move it away")


def read(path: Path, most: int, root: Path | None = None) -> bytes:
    """A whole file of at most `most` bytes. Raises BadInput for a larger one and as `place` does, and OSError."""
    with os.fdopen(open_handle(path, root=root), "rb") as opened, naming(path):
        data = opened.read(most + 1)
    if len(data) > most:
        raise BadInput(f"{short(path)}: has more than {most / 2**20:g} MiB, which nothing of ours needs; move it away")
    return data


def holds(path: Path, data: bytes, root: Path | None = None) -> bool:
    """Whether a file is there and has exactly this content."""
    if not exists(path, root):
        return False
    with os.fdopen(open_handle(path, root=root), "rb") as opened, naming(path):
        return opened.read(len(data) + 1) == data


def check_folders(top: Path, *paths: Path) -> None:
    """Raise BadInput where one of these paths below `top`, or a folder above it, is a link that leads out of the folder
    in `top` that it should lie in."""
    for path in paths:
        first, *_ = path.relative_to(top).parts
        within = Path(os.path.realpath(top)) / first
        for folder in (path, *path.parents):
            if folder == top:
                break
            if folder.is_symlink() and not Path(os.path.realpath(folder)).is_relative_to(within):
                raise BadInput(
                    f"{folder.relative_to(top)}: is a link to {folder.readlink()}, which lies outside of {first}/; "
                    "put the folder itself there"
                )


def write_atomic(path: Path, content: str | bytes, root: Path | None = None, *, lasting: bool = True) -> None:
    """Replace the content of `path`: a temporary file beside it, fsync, rename.

    Not `lasting`: without the fsync, for what may be empty or as it was after a power failure.

    Text is written as UTF-8, newlines as they are. Makes missing folders; keeps the mode of a file that exists, and a
    link that stays below `root` (default: the file's folder). The temporary file is gone afterwards, whatever happens.
    Raises BadInput as `place` does; an OSError names `path`, and is left to the caller.
    """
    path = place(path, root)
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _replace(folder, path.name, content.encode() if isinstance(content, str) else content, lasting)
        finally:
            os.close(folder)


def remove_left(paths: Iterable[Path]) -> None:
    """Remove what writers of these that were killed have left beside them; for who knows that nobody else writes."""
    for path in paths:
        for left in path.parent.glob(f".{glob.escape(path.name)}.*{leftovers.END}"):
            with contextlib.suppress(OSError):
                left.unlink()


def copy_if_there(source: Path, target: Path) -> None:
    """Copy a file with its times, where there is one. An OSError names `target`."""
    if source.exists():
        with naming(target):
            shutil.copy2(source, target)


def check_room(folder: Path) -> None:
    """Raise OSError where `folder` has no room for a file of a usual size (ROOM_BYTES), or none can be made."""
    with naming(folder), tempfile.TemporaryFile(dir=folder) as file:
        os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)


def _replace(folder: int, name: str, data: bytes, lasting: bool) -> None:
    temporary = leftovers.temporary(name)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | CAREFULLY, 0o666, dir_fd=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            leftovers.hold(handle)
            with contextlib.suppress(FileNotFoundError):
                old = os.stat(name, dir_fd=folder, follow_symlinks=False)
                os.fchmod(handle, stat.S_IMODE(old.st_mode))
            file.write(data)
            file.flush()
            if lasting:
                os.fsync(handle)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise
    if lasting:
        sync_folder(folder)


def sync_folder(folder: int) -> None:
    """Make the names in a folder last, where the file system can."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise


# ---- a result store, to which trials write at the same time ----


class Tree:
    """A folder that others write to. What lies below is opened by handles, each in the one above, through no link.

    Paths are text, relative to the root: pathlib would take half of the time. Keeps the folders of the last path open,
    so close it, or use it as a context.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._open: list[tuple[str, int]] = []
        self._top: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        for _, handle in self._open:
            os.close(handle)
        if self._top is not None:
            os.close(self._top)
        self._open, self._top = [], None

    def folder(self, path: str) -> int:
        """Handle of a folder, open until the next call. Raises OSError: ELOOP for a link on the way."""
        parts = path.split("/") if path else []
        if not {"", ".", ".."}.isdisjoint(parts):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), f"{self.root}/{path}")
        same = 0
        while same < min(len(parts), len(self._open)) and self._open[same][0] == parts[same]:
            same += 1
        for _, handle in self._open[same:]:
            os.close(handle)
        del self._open[same:]
        if self._top is None:
            self._top = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for part in parts[same:]:
            above = self._open[-1][1] if self._open else self._top
            try:
                self._open.append((part, os.open(part, FOLDER, dir_fd=above)))
            except OSError as error:
                error.filename = f"{self.root}/{path}"
                if error.errno == errno.ENOTDIR:
                    status = os.stat(part, dir_fd=above, follow_symlinks=False)
                    if stat.S_ISLNK(status.st_mode):
                        what = "is a link, and links are not followed here"
                        raise OSError(errno.ELOOP, what, error.filename) from None
                raise
        return self._open[-1][1] if self._open else self._top

    def stat(self, path: str) -> os.stat_result:
        """Of what is there, a link too. Raises OSError."""
        above, _, name = path.rpartition("/")
        return os.stat(name, dir_fd=self.folder(above), follow_symlinks=False)

    def open(self, path: str) -> int:
        """A handle to read a file. Raises ValueError for what is none, and OSError."""
        above, _, name = path.rpartition("/")
        try:
            handle = os.open(name, os.O_RDONLY | CAREFULLY, dir_fd=self.folder(above))
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENXIO):
                raise
            raise ValueError(f"is a {kind(self.stat(path).st_mode)} and no file") from None
        if stat.S_ISREG(mode := os.fstat(handle).st_mode):
            return handle
        os.close(handle)
        raise ValueError(f"is a {kind(mode)} and no file")

    def read(self, path: str, most: int) -> bytes:
        """A whole file of at most `most` bytes. Raises ValueError for a larger one and for what is none, and OSError.

        On NFS a file that another client replaced while it was open gives ESTALE: open it again.
        """
        for left in reversed(range(STALE_RETRIES + 1)):
            try:
                with os.fdopen(self.open(path), "rb") as opened:
                    if (size := os.fstat(opened.fileno()).st_size) > most:
                        raise ValueError(f"{size} bytes, more than any result or attempt has")
                    return opened.read(most)
            except OSError as error:
                if error.errno != errno.ESTALE or not left:
                    raise
                self.close()
        raise AssertionError("the last round returns or raises")

    def names(self, path: str) -> list[str]:
        """What is in a folder, sorted; nothing where there is none. Raises OSError."""
        try:
            return sorted(os.listdir(self.folder(path)))  # noqa: PTH208 - of a handle
        except (FileNotFoundError, NotADirectoryError):
            return []

    def folders(self, path: str) -> list[str]:
        """Names of the folders in a folder, sorted; links are none. Raises OSError."""
        try:
            with os.scandir(self.folder(path)) as entries:
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return []
