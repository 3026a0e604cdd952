"""Print the Kubernetes objects that a submission would install, as YAML."""

from __future__ import annotations

import guard

import io

import cli


def main() -> int:
    parser = cli.parser(__doc__)
    cli.engine_argument(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of YAML")
    args = parser.parse_args()
    objects = cli.open_sweep(args).rendered.objects
    if args.json:
        cli.put(objects)
        return 0
    from ruamel.yaml import YAML

    writer = YAML()
    writer.width = 4096
    writer.explicit_start = True
    page = io.StringIO()
    for item in objects:
        writer.dump(item, page)
    cli.pass_on(page.getvalue().encode(errors="backslashreplace").splitlines(keepends=True))
    return 0


if __name__ == "__main__":
    guard.run(main)
