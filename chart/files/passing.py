"""How a program gets its hyperparameters: as words of its command, as variables, as a file. No shell anywhere.

The identity of a trial says all of it: `command`, whose words may hold placeholders, `hyperparameters`, `seed`, and
`passing`, the settings of the chart's value of that name less those that are as by default. The runner (trial.py) does
as these functions say, and `make plan` shows it. Run as a program it merges into a file of the user's, for that may
take a package of the user's Python: `python3 passing.py yaml|toml FILE`, ours on stdin, the merged text on stdout.

Standard library only, Python >= 3.9.
"""

from __future__ import annotations

import json
import os
import re
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

ALL = "{hyperparameters}"
"""The word that stands for every hyperparameter that no other placeholder names."""
NAME = "[A-Za-z_][A-Za-z0-9_.-]*"
TOKEN = re.compile(r"\{\{|\}\}|\$\{[^{}]*\}|\{(" + NAME + r")(\?)?\}|[{}]")
"""What means something in a word with a placeholder; `${…}` is the shell's, or OmegaConf's, and stays as it is."""
DIRECTORIES = ("data_dir", "checkpoint_dir", "output_dir")
"""Placeholders that stand for the variables of these names."""
TRUTH = {"True/False": ("True", "False"), "1/0": ("1", "0")}
OURS = re.compile(
    "(HYPERPARAMETERS|METRICS|HISTORY)_FILE|(CHECKPOINT|DATA|OUTPUT)_DIR|DATA_ID|SEED|TRIAL|REPRODUCTION|SWEEP_ENGINE"
    "|POD_(NAME|UID)|NODE_NAME|HOME|LANG|LC_.*|USER|LOGNAME|TMPDIR|PATH|(LD|PYTHON|TORCHINDUCTOR|TRITON)_?.*"
)
"""Variables that mean something else already."""
PLAIN = re.compile(r"[A-Za-z0-9_./:,+@%-]*")
"""A value that every reader of .env files takes as it stands."""


class Refused(ValueError):
    """Hyperparameters that cannot be passed in the way that is asked for; one line for people."""


def need(good: object, what: str) -> None:
    if not good:
        raise Refused(what)


# ---- what is passed, and how it is spelled ---------------------------------------------------------------------------


def given(identity: dict[str, Any]) -> dict[str, Any]:
    """All that the trial has; the seed is among it where it is passed under a name."""
    floats = identity["passing"].get("floats", ())
    values = {name: as_float(value) if name in floats else value for name, value in identity["hyperparameters"].items()}
    seed = identity["passing"].get("seed")
    need(seed not in identity["hyperparameters"], f"passing.seed: {seed} is a hyperparameter too; rename one")
    return {**values, seed: identity["seed"]} if seed else values


def as_float(value: Any) -> Any:
    """JSON, and so the identity, has one kind of number: 1.0 comes as 1, which some readers of floats refuse."""
    if isinstance(value, list):
        return [as_float(item) for item in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def number(value: float) -> str:
    """What float() and strtod() read as the same number, and YAML too, which wants a dot, TOML and Python itself."""
    text = repr(value)
    return text if "." in text or "e" not in text else text.replace("e", ".0e")


def spelled(value: Any, settings: dict[str, Any]) -> str:
    """A value as a word, or a part of one."""
    if isinstance(value, bool):
        return TRUTH.get(settings.get("booleans", ""), ("true", "false"))[not value]
    if isinstance(value, list):
        if settings.get("lists") == "commas":
            return ",".join(parts_of(value, settings))
        parts = (
            json.dumps(item, ensure_ascii=False) if isinstance(item, str) else spelled(item, settings) for item in value
        )
        return "[" + ",".join(parts) + "]"
    if isinstance(value, float) and value < 0 and "e" in repr(value):
        from decimal import Decimal

        text = format(Decimal(repr(value)), "f")  # argparse takes -5e-05 for an option
        return text if "." in text else f"{text}.0"
    return value if isinstance(value, str) else number(value)


def parts_of(value: list[Any], settings: dict[str, Any]) -> list[str]:
    """The words of a list that is passed in another way than JSON."""
    words = [spelled(item, settings) for item in value]
    need(words, "an empty list can be passed as JSON alone; set `lists: json` in passing")
    comma = next((word for word in words if "," in word and settings.get("lists") == "commas"), "")
    need(not comma, f"{comma!r} holds a comma itself; set `lists: json` in passing")
    return words


# ---- the words of the command ----------------------------------------------------------------------------------------


def is_template(word: str) -> bool:
    """Whether a word has a placeholder, or one whose braces are doubled."""
    return re.search(r"\{" + NAME + r"\??\}", re.sub(r"\$\{[^{}]*\}", "", word)) is not None


def placeholders(word: str) -> list[tuple[str, bool]]:
    """(name, whether it may be absent) of every placeholder of a word."""
    tokens = TOKEN.finditer(word) if is_template(word) else ()
    return [(token[1], bool(token[2])) for token in tokens if token[1]]


def argv(identity: dict[str, Any], places: dict[str, str | None]) -> list[str]:
    """The words to start. `places` are the other placeholders: what a name stands for, None where there is nothing.

    Raises Refused. A word is left out where its hyperparameter has no value, and the option before it with it.
    """
    values, settings, command = given(identity), identity["passing"], identity["command"]
    named = {name for word in command for name, _ in placeholders(word)}
    words: list[str] = []
    for place, word in enumerate(command):
        if word == ALL:
            words += options({name: value for name, value in values.items() if name not in named}, settings)
        elif not is_template(word):
            words.append(word)
        else:
            filled = fill(word, identity, values, places)
            whole = TOKEN.fullmatch(word)
            if filled is None and whole and place and is_option(command[place - 1]):
                words.pop()
            words += filled or []
    need(words, "no word of `command` is left, for what they stand for has no value; begin it with a program")
    return words


def is_option(word: str) -> bool:
    """Whether a word of the command is an option whose value is the next word."""
    return word.startswith("-") and "=" not in word and not is_template(word)


def fill(
    word: str, identity: dict[str, Any], values: dict[str, Any], places: dict[str, str | None]
) -> list[str] | None:
    """The word with what its placeholders stand for, or several for a list; None where one has no value."""
    whole, lists = TOKEN.fullmatch(word), identity["passing"].get("lists")
    if whole and lists == "words" and isinstance(values.get(whole[1]), list):
        need(whole[1] not in places, f"{{{whole[1]}}} in {word!r} is a hyperparameter and more; rename it")
        return parts_of(values[whole[1]], identity["passing"])
    texts: list[str | None] = []
    after = 0
    for token in TOKEN.finditer(word):
        texts += [word[after : token.start()], text_of(token, word, identity, values, places)]
        after = token.end()
    return None if None in texts else ["".join(filter(None, texts)) + word[after:]]


def text_of(
    token: re.Match[str], word: str, identity: dict[str, Any], values: dict[str, Any], places: dict[str, str | None]
) -> str | None:
    """What a placeholder of the word stands for, None where it has no value and may have none."""
    name, settings = token[1], identity["passing"]
    if not name:
        need(token[0] not in ("{", "}"), f"{word!r} has a single brace; double it, as in {{{{ and }}}}")
        return token[0] if token[0].startswith("$") else token[0][0]
    if name in values:
        need(name not in places, f"{{{name}}} in {word!r} is a hyperparameter and more; rename it")
        need(
            not isinstance(values[name], list) or settings.get("lists") != "repeat",
            f"{word!r}: `lists: repeat` is for {ALL}; write `lists: words`, commas or json in passing",
        )
        return spelled(values[name], settings)
    if name in places:
        need(places[name] is not None or token[2], f"{{{name}}} in {word!r}: this sweep has none")
        return places[name]
    need(f"{{{name}}}" != ALL, f"{ALL} in {word!r}: must be a word of its own")
    return None  # a null in the trial's line, which the identity has not; a name that means nothing the chart refuses


def options(values: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Hyperparameters in the style that the settings ask for. Raises Refused."""
    style: str = settings.get("style", "--name=value")
    booleans, lists = settings.get("booleans"), settings.get("lists")
    lead, words = style[: style.index("n")], []
    seen: dict[str, str] = {}
    for name, value in values.items():
        shown = name.replace("_", "-") if settings.get("dashes") else name
        other = seen.setdefault(shown, name)
        need(other == name, f"{other} and {name} would both be passed as {lead}{shown}; rename one")
        if isinstance(value, bool) and booleans in ("flag", "switch", "inner switch"):
            above, dot, last = shown.rpartition(".") if booleans == "inner switch" else ("", "", shown)
            words += [f"{lead}{shown}"] if value else [f"{lead}{above}{dot}no-{last}"] * (booleans != "flag")
        elif isinstance(value, list) and lists == "words":
            words += [f"{lead}{shown}", *(no_option(part, name) for part in parts_of(value, settings))]
        else:
            several = isinstance(value, list) and lists == "repeat"
            for text in parts_of(value, settings) if several else [spelled(value, settings)]:
                words += [f"{lead}{shown}={text}"] if "=" in style else [f"{lead}{shown}", no_option(text, name)]
    return words


def no_option(text: str, name: str) -> str:
    """A value as a word of its own, which a parser must not take for an option: a negative number is none."""
    negative = re.fullmatch(r"-[0-9.]+", text)
    need(negative or not text.startswith("-"), f"{name}: {text!r} looks like an option; set `style: --name=value`")
    return text


# ---- variables and files ---------------------------------------------------------------------------------------------


def variable(name: str) -> str:
    return re.sub("[^A-Za-z0-9_]", "_", name)


def variables(values: dict[str, Any], settings: dict[str, Any], prefix: str) -> dict[str, str]:
    """Name of a variable -> value. Raises Refused where two hyperparameters come to one name."""
    named: dict[str, str] = {}
    for name, value in values.items():
        key = prefix + variable(name)
        need(key not in named, f"{name}: another hyperparameter is the variable {key} already; rename one")
        named[key] = spelled(value, settings)
    return named


def environment(identity: dict[str, Any]) -> dict[str, str]:
    """The variables that the program gets beside the usual ones. Raises Refused."""
    prefix = identity["passing"].get("environment")
    named = variables(given(identity), identity["passing"], prefix) if prefix is not None else {}
    taken = next((name for name in named if name in identity.get("env", {}) or OURS.fullmatch(name)), "")
    need(not taken, f"the variable {taken} means something else; set another prefix in passing.environment")
    return named


def nested(values: dict[str, Any]) -> dict[str, Any]:
    """Values below the keys that their dotted names make. Raises Refused where one name is another's beginning."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *above, last = name.split(".")
        place = tree
        for key in above:
            place = place.setdefault(key, {})
            need(isinstance(place, dict), f"{name}: {key} has a value of its own; rename one")
        need(last not in place, f"{name}: there are hyperparameters below it; rename one")
        place[last] = value
    return tree


def file_text(
    identity: dict[str, Any], theirs: str | None = None, places: Mapping[str, str | None] | None = None
) -> str:
    """The file of passing.file, merged into the text of theirs where that takes nothing but this. `places` is as argv
    has it. Raises Refused."""
    settings = identity["passing"]
    form, values = settings["file"]["format"], given(identity)
    if form == "text":
        return "".join(f"{line}\n" for line in filled_lines(identity, values, dict(places or {})))
    if form == "env":
        return dotenv_text(variables(values, settings, ""), theirs or "")
    tree = nested(values)
    if form == "json":
        try:
            tree = merged(json.loads(theirs or "{}"), tree)
        except ValueError as error:
            raise error if isinstance(error, Refused) else Refused(f"is no JSON: {error}") from None
        return json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
    return toml_text(tree) if form == "toml" else yaml_text(tree)


def filled_lines(identity: dict[str, Any], values: dict[str, Any], places: dict[str, str | None]) -> Iterator[str]:
    """The lines of passing.file.text with what their placeholders stand for, as in a word. Raises Refused.

    A line is left out where it has a `{name?}` that has no value.
    """
    for line in identity["passing"]["file"]["text"].splitlines():
        if not is_template(line):
            yield line
            continue
        for name, may_lack in placeholders(line):
            advice = f"{{{name}?}} leaves the line out where it has none"
            need(may_lack or name in values or name in places, f"{{{name}}} in {line!r}: the trial has none; {advice}")
        yield from fill(line, identity, values, places) or ()


def merged(theirs: Any, ours: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Ours over theirs, map by map. Raises Refused where a map would take the place of a value, or a value of a map."""
    need(theirs is None or isinstance(theirs, dict), f"{above or 'the file'} is not a map there, but has keys here")
    both: dict[str, Any] = dict(theirs or {})
    for key, value in ours.items():
        path = f"{above}.{key}".lstrip(".")
        if isinstance(value, dict):
            value = merged(both.get(key), value, path)
        need(isinstance(value, dict) or not isinstance(both.get(key), dict), f"{path} is a map there, and a value here")
        both[key] = value
    return both


def dotenv_text(values: dict[str, str], theirs: str) -> str:
    """Lines of NAME=value, which replace those of theirs. Raises Refused for what its readers do not agree on."""
    own = re.compile(r"\s*(?:export\s+)?([A-Za-z0-9_.-]+)\s*=")
    lines = [line for line in theirs.splitlines() if not ((match := own.match(line)) and match[1] in values)]
    for name, value in values.items():
        # Some read escapes in quotes and some do not; some expand $ in single quotes, and a line break ends the value.
        need(not re.search(r"['\\$\x00-\x1f]", value), f"{name}: {value!r} cannot be said in .env; take another format")
        lines.append(f"{name}={value}" if PLAIN.fullmatch(value) else f"{name}='{value}'")
    return "".join(f"{line}\n" for line in lines)


def yaml_text(tree: dict[str, Any], indent: str = "") -> str:
    """YAML that readers of 1.1 and of 1.2 take alike; a tree of maps, lists and scalars."""
    lines = []
    for key, value in tree.items():
        if isinstance(value, dict):
            lines.append(f"{indent}{yaml_scalar(key)}:\n{yaml_text(value, indent + '  ')}")
        else:
            flow = "[" + ", ".join(map(yaml_scalar, value)) + "]" if isinstance(value, list) else yaml_scalar(value)
            lines.append(f"{indent}{yaml_scalar(key)}: {flow}\n")
    return "".join(lines) or f"{indent}{{}}\n"


def yaml_scalar(value: Any) -> str:
    """A string is a quoted one: YAML 1.1 takes a bare `no` for false, and 1e-4 for a string."""
    if not isinstance(value, str):
        return number(value) if isinstance(value, float) else json.dumps(value)
    text = json.dumps(value, ensure_ascii=False)
    return re.sub("[\x7f-\xa0\u2028\u2029\ufeff\ufffe\uffff]", lambda match: f"\\u{ord(match[0]):04x}", text)


def toml_text(tree: dict[str, Any]) -> str:
    return "".join(f"{line}\n" for line in toml_lines(tree, ""))


def toml_lines(tree: dict[str, Any], above: str) -> Iterator[str]:
    """A table's own values, then the tables below it."""
    tables = {key: value for key, value in tree.items() if isinstance(value, dict)}
    if above and (len(tables) < len(tree) or not tree):
        yield f"[{above}]"
    for key, value in tree.items():
        if key not in tables:
            yield f"{toml_key(key)} = {toml_value(value)}"
    for key, value in tables.items():
        yield from toml_lines(value, f"{above}.{toml_key(key)}".lstrip("."))


def toml_key(key: str) -> str:
    return key if re.fullmatch("[A-Za-z0-9_-]+", key) else toml_value(key)


def toml_value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml_key(key)} = {toml_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (bool, str)):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return number(value) if isinstance(value, (int, float)) else str(value.isoformat())  # dates, of theirs


# ---- in the Pod ------------------------------------------------------------------------------------------------------


def pass_on(identity: dict[str, Any], trial: str, env: dict[str, str], folder: str, scratch: str) -> list[str]:
    """The words to start in `folder`; `env` has the variables then, and the file is there. Raises Refused, OSError."""
    path = file_path(identity, folder, scratch)
    places = {name: env.get(name.upper()) for name in DIRECTORIES}
    places.update(seed=str(identity["seed"]), trial=trial)
    words = argv(identity, {**places, "file": path})
    env.update(environment(identity))
    if path:
        text = merged_text(identity, folder, env, places)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as opened:
            opened.write(text)
    return words


def file_path(identity: dict[str, Any], folder: str, scratch: str) -> str | None:
    """Of the file of passing.file; None where it is not asked for."""
    file = identity["passing"].get("file")
    if not file:
        return None
    return os.path.join(folder, file["path"]) if file.get("path") else f"{scratch}/passing.{file['format']}"


def merged_text(identity: dict[str, Any], folder: str, env: dict[str, str], places: Mapping[str, str | None]) -> str:
    """The text of the file, merged into that of theirs where the settings name one. Raises Refused, OSError."""
    file = identity["passing"]["file"]
    if not file.get("merge"):
        return file_text(identity, places=places)
    path = os.path.join(folder, file["merge"])
    with open(path, encoding="utf-8") as opened:
        theirs = opened.read()
    try:
        if file["format"] in ("json", "env"):
            return file_text(identity, theirs)
        from subprocess import run

        # The packages of the python3 that the command finds: this process was started without any.
        words = ["python3", "-B", os.path.abspath(__file__), file["format"], path]
        done = run(words, input=file_text(identity).encode(), capture_output=True, env=env)
        need(done.returncode == 0, done.stderr.decode(errors="replace").strip()[-500:])
        return done.stdout.decode()
    except ValueError as error:
        raise Refused(f"{file['merge']}: {error}") from None


# ---- as a program: into a file of theirs, by their Python's packages -------------------------------------------------


def merged_toml(theirs: str, ours: str) -> str:
    try:
        import tomllib as reader
    except ImportError:
        try:
            import tomli as reader  # type: ignore[no-redef, import-not-found]
        except ImportError:
            raise Refused("this python3 has neither tomllib (3.11) nor tomli to read TOML; install tomli") from None
    return toml_text(merged(reader.loads(theirs), reader.loads(ours)))


def merged_yaml(theirs: str, ours: str) -> str:
    """Node by node, so that all we do not touch is spelled as it was, whatever its reader takes it for."""
    try:
        import yaml

        both = laid(yaml.compose(theirs, yaml.SafeLoader), yaml.compose(ours, yaml.SafeLoader))
        return str(yaml.serialize(both, allow_unicode=True))
    except ImportError:
        pass
    try:
        import io

        from ruamel.yaml import YAML
    except ImportError:
        raise Refused("this python3 has neither PyYAML nor ruamel.yaml to read YAML; install one of them") from None
    reader, out = YAML(pure=True), io.StringIO()
    reader.serialize(laid(*(reader.compose(text) for text in (theirs, ours))), out)
    return out.getvalue()


def laid(theirs: Any, ours: Any, above: str = "") -> Any:
    """`merged` for the nodes of PyYAML and ruamel.yaml: maps are made anew, for an alias may share them."""
    if theirs is None or theirs.tag == "tag:yaml.org,2002:null":
        return ours
    need(theirs.id == "mapping", f"{above or 'the file'} is not a map there, but has keys here")
    pairs = list(theirs.value)
    inherits = any(key.value == "<<" for key, _ in pairs)
    for key, value in ours.value:
        path = f"{above}.{key.value}".lstrip(".")
        place = next((n for n, (other, _) in enumerate(pairs) if other.value == key.value), len(pairs))
        below = pairs[place][1] if place < len(pairs) else None
        if value.id == "mapping":
            need(below is not None or not inherits, f"{path} may come from a merge key (<<) there; write it out")
            value = laid(below, value, path)
        else:
            need(below is None or below.id != "mapping", f"{path} is a map there, and a value here")
        pairs[place : place + 1] = [(key, value)]
    return type(theirs)(theirs.tag, pairs, flow_style=theirs.flow_style)


def main(words: list[str]) -> int:
    form, path = words
    try:
        with open(path, encoding="utf-8") as opened:
            text = (merged_toml if form == "toml" else merged_yaml)(opened.read(), sys.stdin.buffer.read().decode())
    except Exception as error:  # whatever a reader raises: its first line says what is wrong
        print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)
        return 64
    sys.stdout.buffer.write(text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
