"""Print the Role and RoleBinding that a user needs to run sweeps in a namespace, for an administrator to apply."""

from __future__ import annotations

import guard

import cli
from sweep import yamlfile
from sweep.layout import Kit


def main() -> int:
    parser = cli.parser(__doc__, sweep=False)
    parser.add_argument("--namespace", default="default", help="namespace of the sweeps")
    parser.add_argument("--user", default="someone", help="name of the user in the cluster")
    args = parser.parse_args()
    path = Kit.here().role
    text = yamlfile.read_text(path, str(path))
    text = text.replace("namespace: default", f"namespace: {args.namespace}").replace(
        "name: someone", f"name: {args.user}"
    )
    cli.show_page(text)
    return 0


if __name__ == "__main__":
    guard.run(main)
