"""Package the chart as `helm package` does, but the same bytes whenever and wherever: without times, owners and order.

python tools/chart_package.py dist
"""

from __future__ import annotations

import gzip
import io
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from sweep import helm  # noqa: E402


def package(chart: Path, target: Path) -> Path:
    """Write `<name>-<version>.tgz` into `target`. Raises BadInput with helm's reason."""
    with tempfile.TemporaryDirectory() as folder:
        helm.run("package", str(chart), "--destination", folder)
        (packed,) = Path(folder).glob("*.tgz")
        with tarfile.open(packed) as archive:
            files = {member.name: (member, archive.extractfile(member)) for member in archive if member.isfile()}
            contents = {name: file.read() for name, (_, file) in files.items() if file}
    target.mkdir(parents=True, exist_ok=True)
    place = target / packed.name
    place.write_bytes(archived(contents))
    return place


def archived(contents: dict[str, bytes]) -> bytes:
    """A .tgz of these files: Chart.yaml first, as helm has it, then by name."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(contents, key=lambda path: (path.count("/") != 1 or not path.endswith("/Chart.yaml"), path)):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(contents[name]), 0o644
            archive.addfile(member, io.BytesIO(contents[name]))
    return gzip.compress(plain.getvalue(), 9, mtime=0)


if __name__ == "__main__":
    print(package(ROOT / "chart", Path(sys.argv[1])))
