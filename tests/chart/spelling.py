"""Documents as people may spell them, and what helm and the scripts make of the same text."""

from __future__ import annotations

import base64
import json
import random
import re
import subprocess
from pathlib import Path
from typing import Any

import yaml

from sweep import render, yamlfile
from sweep.errors import BadInput
from sweep.layout import Clone

WORDS: list[str] = re.findall(
    r"\S+",
    """
y n Y N yes no on off Yes NO On OFF yEs true True TRUE tRue false null ~ Null NULL nULL
0x10 0X10 0o10 0O10 010 08 0b1 0B1 0b2 1e3 1E3 1e+3 1.e3 1_000 1_0.5 1:30 1:30:00 190:20:30.15 .5 5. +1 -1 +.5 . ..
+. .e3 .inf -.inf +.inf .Inf .nan .NaN inf nan Infinity -0 +0 -0.0 0.0 00 -010 0o8 2026-01-01 2026-1-1 2026-13-45
2026-01-01T00:00:00Z 2026-01-01t00:00:00.5-05:00 = << 12e03 1e400 -1e400 1e-400 9007199254740992 9007199254740993
9223372036854775807 18446744073709551616 99999999999999999999999 1e21 1e20 5e-05 123456789.123456789 0.1 1.0 _1 1_
1__0 0x_f -0x10 +0x10 0x 0b -0b1 0o7_7 1e 1e+ e3 1.2.3 0.5f 0x1p4 1e0b é x@y a:b -x x#c :x ?x %x
\uff10 \u0661
""",
)
"""Words that readers of YAML take for different things, or might."""
PHRASES = [
    "", '""', "''", "'on'", '"y"', '"0x10"', '"1e3"', "!!str on", "!!str 5", '!!int "5"', "!!int 0x10", "!!float 5",
    "!!bool yes", '!!null ""', "!!binary aGk=", "!!timestamp 2026-01-01", "!foo x", "! 5", "!!str", "!!set {a}", "[]",
    "{}", "{a}", "{a, b}", "[a: 1]", "[1, ]", "{a: 1, }", "{a:1}", '{"a":1}', "[a:1]", "&a", "&a x", "*a", "|\n      x",
    ">\n      x\n      y", "|-\n      x\n\n", "|2\n        x", '"a\\\n      b"', '"\\x41\\u0041\\a\\e\\_\\N\\L\\/"',
    '"\\ud83d\\ude00"', '"a\tb"', "a\tb", "x\t# c", "x #c", '"\\x80"', '"\\0"', '"\\u2028"', '"\\ufeff"', "\u00a0x",
    "x\ufeff", "a\u0085b", "a\u2028b", "'a\u2028b'", "a\x7fb", "\U0001f600", "a\rb", "a\r\n  b", "k" * 1100,
]  # fmt: skip
BITS = [
    "\n", "\n  ", "\n    ", "\n- ", ": ", ":", "k", " ", "- ", "? ", '"', "'", "{", "}", "[", "]", ", ", "#", " # c",
    "|", ">", "&a ", "*a", "!!str ", "---\n", "...\n", "%YAML 1.1\n", "\t", "\r\n", "\r", "\u2028", "\u0085", "\ufeff",
    "\\",    "\u00a0", "b: 1\n", "c: [1, 2]\n", "d:\n  e: 1\n",
]  # fmt: skip


def word(chance: random.Random) -> str:
    kind = chance.random()
    return chance.choice(WORDS if kind < 0.5 else PHRASES if kind < 0.7 else ["a", "b", "x y", '"q"', "'q'"])


def _node(chance: random.Random, depth: int, indent: int) -> str:
    kind, few = chance.random(), range(chance.randint(0, 3))
    if not depth or kind < 0.5:
        return f" {word(chance)}\n"
    if kind < 0.65:
        return f" {{{', '.join(f'{word(chance)}: {word(chance)}' for _ in few)}}}\n"
    if kind < 0.75:
        return f" [{', '.join(word(chance) for _ in few)}]\n"
    if kind < 0.85:
        return "\n" + "".join(f"{' ' * indent}-{_node(chance, depth - 1, indent + 2)}" for _ in few)
    keys = [word(chance) if chance.random() < 0.4 else chance.choice("abcdefg") for _ in few]
    return "\n" + "".join(f"{' ' * indent}{key}:{_node(chance, depth - 1, indent + 2)}" for key in keys)


def document(chance: random.Random) -> str:
    """A values file, mostly sound; some have a few characters put in or taken out anywhere."""
    text = "".join(f"{chance.choice('abcdefghijklm')}:{_node(chance, 2, 2)}" for _ in range(chance.randint(1, 3)))
    for _ in range(chance.choice([0, 0, 1, 1, 2, 3])):
        place = chance.randint(0, len(text))
        text = text[:place] + chance.choice(BITS) + text[place + chance.choice([0, 0, 0, 1, 2]) :]
    return text


# ---- readers ----


class Refused:
    """What a reader says in place of a value."""

    def __init__(self, why: str) -> None:
        self.why = why


def scripts(text: str) -> Any:
    """The document as the scripts read it, or Refused; whatever else is raised is a fault."""
    try:
        return yamlfile.parse(text, "v.yaml").data
    except BadInput as error:
        refused = Refused(str(error))
    assert "\n" not in refused.why, repr(text)
    assert refused.why.startswith("v.yaml:"), repr(text)
    return refused


def same(value: Any) -> str:
    """Equal for what is one value to Helm, which knows one kind of number."""

    def number(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: number(item) for key, item in value.items()}
        if isinstance(value, list):
            return [number(item) for item in value]
        return float(value) + 0.0 if isinstance(value, int | float) and not isinstance(value, bool) else value

    return json.dumps(number(value), sort_keys=True)


class Probe:
    """A chart that prints what helm makes of documents."""

    def __init__(self, helm: str, folder: Path) -> None:
        self.helm, self.chart = helm, folder / "chart"
        (self.chart / "templates").mkdir(parents=True)
        (self.chart / "documents").mkdir()
        (self.chart / "Chart.yaml").write_text("apiVersion: v2\nname: probe\nversion: 0.1.0\n")
        (self.chart / "templates" / "probe.yaml").write_text(
            "values: {{ toJson .Values | b64enc }}\nread:\n{{ range $path, $bytes := .Files.Glob `documents/*` }}"
            "  - {{ $bytes | toString | fromYaml | toJson | b64enc }}\n{{ end }}"
        )

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.helm, "template", "t", self.chart, *words], capture_output=True, text=True, check=False
        )

    def documents(self, texts: list[str]) -> list[Any]:
        """Each document by helm's `fromYaml`, which reads as `-f` does (sigs.k8s.io/yaml), or Refused."""
        for path in (self.chart / "documents").iterdir():
            path.unlink()
        for number, text in enumerate(texts):
            (self.chart / "documents" / f"{number:05}").write_bytes(text.encode())
        done = self._run()
        assert done.returncode == 0, done.stderr
        read = [json.loads(base64.b64decode(line[4:])) for line in done.stdout.split("\n") if line.startswith("  - ")]
        assert len(read) == len(texts)
        return [Refused(str(value["Error"])) if set(value) == {"Error"} else value for value in read]

    def values(self, text: str) -> Any:
        """A whole values file by `-f`, or Refused. Keys whose value is null are not told."""
        path = self.chart.parent / "values.yaml"
        path.write_bytes(text.encode())
        done = self._run("-f", str(path))
        if done.returncode:
            return Refused(done.stderr)
        return json.loads(base64.b64decode(done.stdout.partition("values: ")[2].partition("\n")[0]))


# ---- what holds for every helm ----


def check_documents(helm: str, folder: Path, seed: int, count: int = 150) -> None:
    """What both read is the same, by `fromYaml` one by one and by `-f` all in one file."""
    chance, probe = random.Random(seed), Probe(helm, folder)
    texts = [document(chance) for _ in range(count)]
    whole: list[str] = []
    for text, given in zip(texts, probe.documents(texts), strict=True):
        ours = scripts(text)
        # Where helm alone refuses, `make` refuses as well, for it asks helm; the scripts' own refusals are stricter.
        if not isinstance(ours, Refused) and not isinstance(given, Refused):
            assert same(ours) == same(given), repr(text)
            indented = "".join(f"  {line}" for line in text.splitlines(keepends=True))
            candidate = f"d{len(whole)}:\n{indented if indented.endswith(chr(10)) else indented + chr(10)}"
            if not isinstance(scripts(candidate), Refused) and "&a" not in text:
                whole.append(candidate)
    assert len(whole) > count / 10
    text = "".join(whole)
    assert same(_without_null(scripts(text))) == same(_without_null(probe.values(text)))


def check_words(helm: str, folder: Path) -> dict[str, str]:
    """Every word as a value, in a list and as a key; returns what helm makes of those that the scripts refuse."""
    probe = Probe(helm, folder)
    forms = ("v: {}\n", "v: [{}]\n", "v: {{{}: 1}}\n", "v:\n  {}: 1\n")
    texts = [form.format(word) for form in forms for word in (*WORDS, *PHRASES)]
    refused, whole = {}, []
    for number, (text, given) in enumerate(zip(texts, probe.documents(texts), strict=True)):
        ours = scripts(text)
        if isinstance(ours, Refused):
            refused[text] = "refused" if isinstance(given, Refused) else same(given)
        elif not isinstance(given, Refused):
            assert same(ours) == same(given), repr(text)
            if "&" not in text:
                whole.append(f"v{number}{text[1:]}")
    assert same(_without_null(scripts("".join(whole)))) == same(_without_null(probe.values("".join(whole))))
    return refused


def _without_null(values: dict[str, Any]) -> dict[str, Any]:
    """A null takes a default away, and what helm prints of one that has no default differs."""
    if isinstance(values, dict):
        return {key: _without_null(item) for key, item in values.items() if item is not None}
    return [_without_null(item) for item in values] if isinstance(values, list) else values


NAMES = ["N", "y", "no", "ON", "null", "e3", "E1", "_", "true_", "Null", "off", "x1e3", "__1", "inf", "NaN"]


def values_text(chance: random.Random) -> str:
    """A values file with those words as names and values wherever a person may set one, bare where that is a string."""
    words = [*WORDS, *NAMES, "", "a\tb", "\u2028", "\U0001f600", "$(X)", "a: b # c", "{{ x }}", "x\r\ny", "<&>"]

    def bare_or_quoted(text: str, form: str, meant: Any) -> str:
        bare = chance.random() < 0.5 and scripts(form.format(text)) == {"v": meant}
        return text if bare else yamlfile.flow(text)

    def name(text: str) -> str:
        return bare_or_quoted(text, "v: {{{}: 1}}", {text: 1})

    def value() -> str:
        text = chance.choice(words)
        return bare_or_quoted(text, "v: {{a: [{0}], b: {0}}}", {"a": [text], "b": text})

    def scalar() -> str:
        return chance.choice([value(), value(), "1.0e-05", "1e3", "9007199254740992", "-1", "0.5", "true", "false"])

    def table(names: list[str], value: Any) -> str:
        return "{" + ", ".join(f"{name(key)}: {value()}" for key in dict.fromkeys(chance.choices(names, k=8))) + "}"

    free = [word for word in words if word not in ("true", "false", "<<", "")]
    return "\n".join(
        [
            "sweep: demo",
            "objective: {metric: accuracy, direction: maximize}",
            "image: {repository: pytorch/pytorch, tag: '2.9'}",
            "results: {volume: {pvc: {claimName: results}}}",
            f"command: [{', '.join(value() for _ in range(5))}]",
            f"env: {table(NAMES, value)}",
            f"podLabels: {table(free, value)}",
            f"podAnnotations: {table(free, value)}",
            f"nodeSelector: {table(free, value)}",
            f"resources: {{requests: {table(free, scalar)}, limits: {table(free, scalar)}}}",
            f"pod: {{affinity: {table(free, scalar)}, tolerance: [{table(free, scalar)}, [{scalar()}]]}}",
            f"data: {{id: {value()}}}",
            f"hyperparameters: {table(NAMES, scalar)}",
            f"trials:\n  - {table(NAMES, scalar)}",
            "",
        ]
    )


def check_chart(helm: str, folder: Path, seed: int) -> None:
    """Names and values arrive in the Job and in the trial's identity as the scripts read them."""
    text = values_text(random.Random(seed))
    asked = scripts(text)
    assert not isinstance(asked, Refused), asked.why
    path = folder / "values.yaml"
    path.write_bytes(text.encode())
    done = subprocess.run([helm, "template", "demo", CHART, "-f", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stderr}\n{text}"
    (job,) = [item for item in render.read_manifest(done.stdout) if item["kind"] == "Job"]
    (loose,) = [item for item in yaml.safe_load_all(done.stdout) if item["kind"] == "Job"]
    assert loose == job
    template, container = job["spec"]["template"], render.container_of(job)
    identity = render.trial_of(job).identity
    hyperparameters = asked["hyperparameters"] | asked["trials"][0]
    arrived = {variable["name"]: variable.get("value") for variable in container["env"]}
    assert arrived.items() >= asked["env"].items()
    assert identity["env"] == asked["env"]
    assert identity["command"] == asked["command"]
    assert identity["data"] == asked["data"]["id"]
    assert same(identity["hyperparameters"]) == same(hyperparameters)
    assert template["metadata"]["labels"].items() >= asked["podLabels"].items()
    assert template["metadata"]["annotations"] == asked["podAnnotations"]
    assert template["spec"]["nodeSelector"] == asked["nodeSelector"]
    for part in ("requests", "limits"):
        assert (
            json.loads(same(container["resources"][part])).items() >= json.loads(same(asked["resources"][part])).items()
        )
    for key, value in asked["pod"].items():
        assert same(template["spec"][key]) == same(value)


CHART = Clone.here().chart
