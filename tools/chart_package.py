"""Package the chart as `helm package` does, but the same bytes whenever and wherever: without times, owners and order.

python tools/chart_package.py dist [--sign KEY]

With a key of GnuPG's it is signed as `helm package --sign` does, but by gpg, so the key may lie in an agent or a card:
a file .prov beside the archive, which `helm verify` reads and `helm push` takes along. The archive stays the same.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from sweep import helm  # noqa: E402
from sweep.errors import BadInput  # noqa: E402


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


def sign(archive: Path, key: str) -> Path:
    """Write `<archive>.prov`: Chart.yaml and the archive's hash, signed by `key`. Raises BadInput with gpg's reason."""
    with tarfile.open(archive) as files:
        about = files.extractfile(f"{archive.name.rpartition('-')[0]}/Chart.yaml")
        assert about
        text = about.read().decode().rstrip("\n")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    claim = f"{text}\n\n...\nfiles:\n  {archive.name}: sha256:{digest}\n"
    place = archive.with_name(f"{archive.name}.prov")
    words = ["gpg", "--batch", "--yes", "--digest-algo", "SHA512", "--local-user", key, "--output", str(place)]
    try:
        done = subprocess.run([*words, "--clearsign"], input=claim, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise BadInput("gpg: not found; install GnuPG, or leave SIGN_KEY out") from None
    if done.returncode:
        raise BadInput(
            f"gpg: {done.stderr.strip().splitlines()[-1]}; `gpg --list-secret-keys` shows the keys there are"
        )
    return place


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path, help="folder for the archive")
    parser.add_argument("--sign", metavar="KEY", help="id, fingerprint or address of a secret key of GnuPG's")
    args = parser.parse_args(argv)
    try:
        archive = package(ROOT / "chart", args.target)
        print(archive)
        if args.sign:
            print(sign(archive, args.sign))
    except BadInput as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
