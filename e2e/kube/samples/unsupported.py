"""Fields that are not supported, by the table in docs/kuberay.md: which of them an object sets, and the object
without them."""
import copy
import re


def table(document):
    """[(path, "ignored" or "refused")] of RayClusters' specs."""
    out, section = [], None
    with open(document, encoding="utf-8") as f:
        for line in f:
            m = re.match(r"<!-- fields: (\w+) -->", line)
            section = m[1] if m else None if line.startswith("## ") else section
            m = re.match(r"\| `([^`]+)` \| (ignored|refused)", line)
            if m and section == "cluster":
                out.append((m[1], m[2]))
    assert out, document
    return out


def _find(tree, steps, at):
    """[(parent, key, path)] of what a path of the table means in a spec."""
    step, rest = steps[0], steps[1:]
    name = step.removesuffix("[]")
    if not isinstance(tree, dict) or tree.get(name) is None:
        return []
    if not rest:
        return [(tree, name, f"{at}.{name}")]
    if step.endswith("[]"):
        return [hit for i, item in enumerate(tree[name]) for hit in _find(item, rest, f"{at}.{name}[{i}]")]
    return _find(tree[name], rest, f"{at}.{name}")


def split(spec, rows, at):
    """The spec without those fields; paths that are ignored; paths that are refused."""
    spec = copy.deepcopy(spec)
    found = {"ignored": [], "refused": []}
    for path, what in rows:
        for parent, key, where in _find(spec, path.split("."), at):
            if parent[key] is False or parent[key] == 0:
                continue
            found[what].append(where)
    for path, _ in rows:
        for parent, key, _ in _find(spec, path.split("."), at):
            del parent[key]
    return spec, found["ignored"], found["refused"]
