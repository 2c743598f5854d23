"""Two trees, field by field, and the list of differences that are meant (docs/kuberay-differences.md)."""
import json
import re

KEYS = ("name", "mountPath", "key", "path", "type", "topologyKey")
MEASURED = re.compile(r"^(cpu|memory|ephemeral-storage|sizeLimit|storage)$")
UNITS = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def label_of(item, parent):
    """What tells an item of a list from its siblings, if something does."""
    if isinstance(item, dict):
        if parent == "volumeMounts" and "mountPath" in item:
            return item["mountPath"]
        if parent == "ports":
            return str(item.get("containerPort", item.get("port")))
        for key in KEYS:
            if isinstance(item.get(key), str):
                return item[key]
    return None


def quantity(value):
    m = re.fullmatch(r"([0-9.]+)([a-zA-Z]*)", str(value))
    return float(m[1]) * UNITS[m[2]] if m and m[2] in UNITS else value


def flat(tree, at="", parent=""):
    """{path: value} of all leaves; empty objects and lists are not there."""
    out = {}
    if isinstance(tree, dict):
        for key, value in tree.items():
            plain = re.fullmatch(r"[A-Za-z0-9]+", key)
            step = f"{at}.{key}" if plain and at else key if plain else f"{at}[{key}]"
            out.update(flat(value, step, key))
    elif isinstance(tree, list):
        labels = [label_of(i, parent) for i in tree]
        named = all(labels) and len(set(labels)) == len(labels)
        if not named and not any(isinstance(i, (dict, list)) for i in tree):
            return {at: json.dumps(tree)} if tree else {}
        for i, item in enumerate(tree):
            out.update(flat(item, f"{at}[{labels[i] if named else i}]", ""))
    elif tree is not None and tree != "":
        out[at] = quantity(tree) if MEASURED.match(parent) or ".resources." in at else tree
    return out


def text_of(value):
    return value if isinstance(value, str) else json.dumps(value)


def compare(expected, actual):
    """[(path, KubeRay's value or None, ours or None)]"""
    e, a = flat(expected), flat(actual)
    return [(p, e.get(p), a.get(p)) for p in sorted(e.keys() | a.keys()) if e.get(p) != a.get(p)]


class Meant:
    """The tables of the document: | `object` | `path` | KubeRay | Raia | reason |. In all but the last, * is
    anything; in the third and fourth, `absent` is a field that is not there."""

    def __init__(self, document):
        self.rows, self.used = [], set()
        with open(document, encoding="utf-8") as f:
            for line in f:
                # A value may have a bar: cells are separated by one with a blank on both sides.
                cells = [c.strip() for c in re.split(r"(?<= )\|(?= )", " " + line.strip() + " ")][1:-1]
                if len(cells) != 5 or not all(re.fullmatch(r"`.*`", c) for c in cells[:4]):
                    continue
                assert len(cells[4]) > 5, f"{document}: a difference without a reason: {line}"
                self.rows.append([self._pattern(c.strip("`")) for c in cells[:4]] + [line.strip()])
        assert self.rows, f"{document} has no table of differences"

    @staticmethod
    def _pattern(cell):
        return None if cell == "absent" else re.compile(".*".join(re.escape(p) for p in cell.split("*")), re.S)

    @staticmethod
    def _fits(pattern, value):
        if pattern is None or value is None:
            return pattern is None and value is None
        return pattern.fullmatch(text_of(value))

    def excuses(self, what, difference):
        found = False
        for n, row in enumerate(self.rows):
            if row[0].fullmatch(what) and row[1].fullmatch(difference[0]) and all(self._fits(row[2 + i], difference[1 + i]) for i in (0, 1)):
                self.used.add(n)
                found = True
        return found

    def unused(self):
        return [row[4] for n, row in enumerate(self.rows) if n not in self.used]
