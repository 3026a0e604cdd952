"""What looks like a secret is refused wherever a person may write it, by plain helm and by the scripts alike."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweep import helm, secrets, yamlfile
from sweep.errors import BadInput
from sweep.spaces import valuesfile
from tests.chart.minimal import CHART, VALUES, refusal

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
TOKEN = "ghp_" + "Zz9" * 12
URL = f"https://ann:{TOKEN}@git.example.org/code"
GIT = {"source": "git", "commit": "a" * 40, "tree": "b" * 40, "url": "https://git.example.org/code"}

PLACES: dict[str, Callable[[str], dict[str, Any]]] = {
    "objective": lambda text: {"objective": {"metric": text, "direction": "maximize"}},
    "hyperparameters": lambda text: {"hyperparameters": {"source": text}},
    "hyperparameters of several": lambda text: {"hyperparameters": {"sources": [1, text]}},
    "trials": lambda text: {"trials": [{"lr": 0.5}, {"source": text}]},
    "command": lambda text: {"command": ["python", "train.py", "--from", text]},
    "command in a shell": lambda text: {"command": ["sh", "-c", f"git clone {text} && python train.py"]},
    "env": lambda text: {"env": {"SOURCE": text}},
    "code.url": lambda text: {"code": GIT | {"url": text}},
    "code.path": lambda text: {"code": GIT | {"path": text}},
    "code.image": lambda text: {"code": GIT | {"image": text}},
    "image.repository": lambda text: {"image": {"repository": text, "tag": "1"}},
    "image.tag": lambda text: {"image": {"repository": "a", "tag": text}},
    "data.id": lambda text: {"data": {"id": text}},
    "data.prepare": lambda text: {"data": {"prepare": ["python", "dataset.py", text]}},
    "data.volume": lambda text: {"data": {"volume": {"nfs": {"server": text, "path": "/x"}}}},
    "results.volume": lambda text: {"results": {"volume": {"hostPath": {"path": f"/{text}"}}}},
    "gpu.resource": lambda text: {"gpu": {"resource": text}},
    "gpu.claim": lambda text: {"gpu": {"claim": {"deviceClassName": "gpu.example.org", "selector": text}}},
    "resources": lambda text: {"resources": {"limits": {"memory": text}}},
    "trials: resources": lambda text: {"trials": [{"lr": 0.5, "resources": {"limits": {"memory": text}}}]},
    "nodeSelector": lambda text: {"nodeSelector": {"zone": text}},
    "tolerations": lambda text: {"tolerations": [{"key": "zone", "value": text}]},
    "priorityClassName": lambda text: {"priorityClassName": text},
    "queue": lambda text: {"queue": text},
    "priority": lambda text: {"queue": "team", "priority": text},
    "admitted": lambda text: {"admitted": {"0" * 12: {"queue": text}}},
    "podLabels": lambda text: {"podLabels": {"team": text}},
    "podAnnotations": lambda text: {"podAnnotations": {"note": text}},
    "podAnnotations: key": lambda text: {"podAnnotations": {text: "x"}},
    "extraVolumes": lambda text: {"extraVolumes": [{"name": "x", "csi": {"volumeAttributes": {"share": text}}}]},
    "pod": lambda text: {"pod": {"hostname": text}},
    "pod, deep": lambda text: {"pod": {"dnsConfig": {"options": [{"name": "x", "value": text}]}}},
    "budget": lambda text: {"budget": text},
    "provenance.author": lambda text: {"provenance": {"author": text}},
    "provenance.commit": lambda text: {"provenance": {"commit": text}},
    "cluster.context": lambda text: {"cluster": {"context": text}},
    "cluster.namespace": lambda text: {"cluster": {"namespace": text}},
    "cluster.store": lambda text: {"cluster": {"store": text}},
    "local": lambda text: {"local": {"requirements": text}},
    "dataset.words": lambda text: {"dataset": {"upload": False, "words": [text]}},
}
NO_PLACE = {"code.files", "reader.known", "global", "sweep", "sharedMemory", "retries", "code.commit", "code.tree"}
NO_PLACE |= {"until"}
"""Not a person's free text: the frozen code, what must be a hash or a time, what scripts set, Helm's own."""

_SECRET_NAMES = """
TOKEN HF_TOKEN hf_token GITHUB_TOKEN githubToken GITHUBTOKEN WANDB_API_KEY api_key apiKey API-KEY apikey
AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY SECRET CLIENT_SECRET clientSecret PASSWORD PGPASSWORD DB_PASS MYSQL_PWD
passwd passphrase CREDENTIALS db.credential PRIVATE_KEY ssh_key AUTHORIZATION ACCESS_TOKENS TOKEN_2 API_KEY1
GITLAB_PAT CONNECTION_STRING session_cookie example.org/token access.token SUBSCRIPTION_KEY account-key
"""
SECRET_NAMES = _SECRET_NAMES.split()
_OTHER_NAMES = """
max_tokens num_tokens tokenizer TOKENIZERS_PARALLELISM tokens n_tokens token_dim tokens_per_step password_length
pad_token eos_token bos-token cls_token mask_token unk_token special_token model.pad_token use_auth_token no_token
max_token secret_size TOKEN_FILE PASSWORD_FILE SECRET_NAME key public_key sort_key query_key num_key_value_heads
topologyKey key_dim PWD OLDPWD compass patience pass first_pass bypass monkey author authors cookies hotkey
keyboard AWS_REGION credentials_file
"""
OTHER_NAMES = _OTHER_NAMES.split()
SECRET_TEXTS = [
    URL,
    f"https://{'a1' * 20}@git.example.org/code",
    "postgres://ann:hunter2@db.example.org/runs",
    "ssh://git:hunter2@git.example.org/code",
    "ann:hunter2@registry.example.org/image",
    "https://data.example.org/x?token=hunter2hunter2",
    "https://data.example.org/x?a=1&access_token=hunter2",
    "https://data.example.org/x?sv=1&sig=abc%2Fdef%3D",
    "--token=hunter2",
    "--token hunter2",
    "--api-key hunter2",
    "API_KEY=hunter2 python train.py",
    'curl -H "Authorization: Bearer hunter2" https://data.example.org',
    "curl -H 'PRIVATE-TOKEN: hunter2'",
    '{"password": "hunter2"}',
    "model.auth.token=hunter2",
    TOKEN,
    f"x{chr(10)}-----BEGIN OPENSSH PRIVATE KEY-----",
    "AKIA" + "ABCD" * 4,
    "hf_" + "aB3" * 12,
    "glpat-" + "aB3_" * 6,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
    "sk-proj-" + "aB3" * 12,
]
OTHER_TEXTS = [
    "https://git.example.org/code.git",
    "https://ann@git.example.org/code.git",
    "ssh://git@git.example.org:22/code.git",
    "git@git.example.org:team/code.git",
    "registry.example.org:5000/team/image",
    f"python:3.9@sha256:{'0123456789abcdef' * 4}",
    "https://data.example.org:8080/x@v1",
    "https://data.example.org/x?tokens=5&page=2",
    "postgres://ann:$(DB_PASSWORD)@db.example.org/runs",
    "https://ann:${TOKEN}@git.example.org",
    "--max-tokens=100 --tokenizer=gpt2 --num_tokens 5 --password-length 12",
    "--pad-token=[PAD] --eos_token </s>",
    "--use-auth-token train.py",
    "--token-file /run/secrets/token",
    '--token "$HF_TOKEN" --api-key=$(API_KEY)',
    "TOKEN=$(cat /run/secrets/token) python train.py",
    "python -c \"login(api_key=os.environ['API_KEY'])\"",
    "token == 'cls' and lr < 1",
    "Authorization: Bearer $TOKEN",
    "a secret that nobody knows, and a password",
    "sk-learn-random-forest-classifier-experiment-of-today",
    "device.attributes['gpu.example.org'].architecture == 'Hopper'",
    "sha256:" + "ab" * 32,
]


def said_by_scripts(**changes: Any) -> str:
    """The one line with which the scripts refuse them."""
    text = "\n".join(f"{yamlfile.flow(key)}: {yamlfile.flow(value)}" for key, value in (VALUES | changes).items())
    try:
        valuesfile.check(valuesfile.parse(f"{text}\n", "values.yaml"), "demo", SCHEMA)
    except BadInput as error:
        return str(error)
    return ""


def check(message: str) -> None:
    assert "; " in message, f"{message!r}: not refused, or says no way out"
    assert "\n" not in message
    for planted in (TOKEN, "ann:", "hunter2"):
        assert planted not in message


@pytest.mark.parametrize("place", PLACES)
def test_a_token_is_refused_at_every_place(tmp_path: Path, place: str) -> None:
    for planted in (URL, TOKEN, f"a --token={TOKEN}"):
        check(said_by_scripts(**PLACES[place](planted)))
    check(refusal(tmp_path, **PLACES[place](URL)))


def test_every_place_of_the_schema_for_free_text_is_among_them() -> None:
    tried = " ".join(json.dumps(place("x")) for place in PLACES.values())
    for name, wanted in SCHEMA["properties"].items():
        inner = wanted.get("properties", {})
        free = [
            key
            for key, field in inner.items()
            if "string" in field.get("type", ()) and not {"enum", "pattern"} & {*field}
        ]
        if "string" in wanted.get("type", ()) and not inner and not {"enum", "pattern"} & {*wanted}:
            free = [""]
        for key in free:
            if not {name, f"{name}.{key}"} & NO_PLACE:
                assert f'"{key or name}"' in tried, f"{name}.{key}: no test plants a secret there"


@pytest.mark.parametrize(
    "changes",
    [
        {"env": {"HF_TOKEN": "hunter2"}},
        {"env": {"HF_TOKEN": "Bearer hunter2"}},
        {"hyperparameters": {"api_key": "hunter2"}},
        {"hyperparameters": {"passwords": [1, "hunter2"]}},
        {"trials": [{"lr": 0.5}, {"token": "hunter2"}]},
        {"podLabels": {"example.org/token": "hunter2"}},
        {"podAnnotations": {"token": "hunter2"}},
        {"command": ["python", "train.py", "--token", "hunter2"]},
        {"extraVolumes": [{"name": "x", "flexVolume": {"options": {"password": "hunter2"}}}]},
        {"pod": {"x": [{"name": "TOKEN", "value": "hunter2"}]}},
        {"code": GIT | {"url": "https://ann@git.example.org/code"}},
    ],
    ids=str,
)
def test_what_is_named_like_a_secret_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    by_helm, by_scripts = refusal(tmp_path, **changes), said_by_scripts(**changes)
    check(by_helm)
    check(by_scripts)
    assert by_scripts.startswith("values.yaml:")
    assert by_helm.split("; ")[0].rpartition(": ")[2] == by_scripts.split("; ")[0].rpartition(": ")[2]


def test_what_refers_to_a_secret_is_rendered_as_ever(tmp_path: Path) -> None:
    env = {
        "HF_TOKEN": {"secret": "hugging-face", "key": "token"},
        "AUTHORIZATION": "Bearer $(HF_TOKEN)",
        "GOOGLE_APPLICATION_CREDENTIALS": "/var/secrets/key.json",
        "API_KEY": "",
        "USE_TOKEN": "true",
    }
    changes: dict[str, Any] = {
        "env": env,
        "hyperparameters": {
            "max_tokens": 5,
            "tokenizer": "gpt2",
            "password_length": 8,
            "pad_token": "<pad>",
            "token": 3,
        },
        "code": GIT | {"secret": "deploy-key"},
        "image": VALUES["image"] | {"pullSecrets": ["registry-token"]},
        "podAnnotations": {"vault.hashicorp.com/agent-inject-secret-token": "secret/data/web"},
        "extraVolumes": [{"name": "x", "secret": {"secretName": "x", "items": [{"key": "password", "path": "token"}]}}],
    }
    assert said_by_scripts(**changes) == ""
    assert refusal(tmp_path, **changes) == ""


# ---- the rules, by Go and by Python ----

JUDGE = """\
{{- $rules := .Files.Get "files/secrets.json" | fromJson -}}
{{- $_ := set (set $rules "texts" dict) "names" dict -}}
judged:
{{- range .Values.texts }}
- {{ include "helm-sweep.secrets.text" (dict "text" . "rules" $rules) | toJson }}
{{- end }}
{{- range .Values.pairs }}
- {{ include "helm-sweep.secrets.named" (dict "name" (first .) "value" (last .) "rules" $rules) | toJson }}
{{- end }}
"""


def by_go(folder: Path, texts: list[str], pairs: list[tuple[str, str]]) -> list[bool]:
    """What the chart's templates say of texts, and of values under names: whether it looks like a secret."""
    for name in ("templates", "files"):
        (folder / "judge" / name).mkdir(parents=True)
    (folder / "judge/Chart.yaml").write_text("apiVersion: v2\nname: judge\nversion: 0.0.0\n")
    shutil.copy(CHART / "files/secrets.json", folder / "judge/files")
    shutil.copy(CHART / "templates/_secrets.tpl", folder / "judge/templates")
    (folder / "judge/templates/all.yaml").write_text(JUDGE)
    (folder / "values.json").write_text(json.dumps({"texts": texts, "pairs": pairs}))
    judged = helm.template(folder / "judge", "x", [folder / "values.json"])
    return [bool(verdict) for verdict in yaml.safe_load(judged)["judged"]]


def by_python(texts: list[str], pairs: list[tuple[str, str]]) -> list[bool]:
    return [bool(secrets.in_text(text)) for text in texts] + [secrets.in_name(*pair) for pair in pairs]


def test_names_and_texts_are_told_apart(tmp_path: Path) -> None:
    texts = SECRET_TEXTS + OTHER_TEXTS
    pairs = [(name, "hunter2") for name in SECRET_NAMES + OTHER_NAMES]
    due = [True] * len(SECRET_TEXTS) + [False] * len(OTHER_TEXTS)
    due += [True] * len(SECRET_NAMES) + [False] * len(OTHER_NAMES)
    shown = [*texts, *(name for name, _ in pairs)]
    for judge in (by_python(texts, pairs), by_go(tmp_path, texts, pairs)):
        assert [text for text, is_due, given in zip(shown, due, judge, strict=True) if given != is_due] == []


def test_go_and_python_read_the_rules_alike(tmp_path: Path) -> None:
    chance = random.Random(0)
    parts = [
        *SECRET_NAMES,
        *OTHER_NAMES,
        *SECRET_TEXTS,
        *OTHER_TEXTS,
        *"=:@/?&-_.$ \"'\n(){}<>[]#",
        "é",
        "\t",
        "0",
        "aB3",
    ]
    texts = ["".join(chance.choices(parts, k=chance.randint(1, 6))) for _ in range(1500)]
    pairs = [
        (
            "".join(chance.choices([*SECRET_NAMES, *OTHER_NAMES, *"_-./09"], k=chance.randint(1, 3))),
            chance.choice(values),
        )
        for values in [[*OTHER_TEXTS, "", "true", "$X", "$(X)", "Bearer $X", "/a/b", "12", "1234", "<x>", "***"]]
        for _ in range(1500)
    ]
    go, python = by_go(tmp_path, texts, pairs), by_python(texts, pairs)
    both = zip([*texts, *pairs], go, python, strict=True)
    assert [(what, here, there) for what, here, there in both if here != there] == []
    assert 0.1 < sum(go) / len(go) < 0.9


def test_what_was_masked_once_is_no_secret_any_more() -> None:
    for text in SECRET_TEXTS:
        masked = secrets.masked(f"fatal: {text}, it says")
        assert not secrets.in_text(masked), masked
        assert "hunter2" not in masked
    for text in OTHER_TEXTS:
        assert secrets.masked(text) == text
    assert secrets.masked("see https://ann:hunter2@git.example.org/code") == "see https://***@git.example.org/code"
