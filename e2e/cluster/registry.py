#!/usr/bin/python3
"""An image registry that only gives: the few GETs of the distribution API that a containerd pulls with, over
archives that e2e/cluster/image makes. Part of e2e/cluster/registry; FOLDER holds

  blobs/sha256-HEX   configs, layers and manifests
  names              lines "PATTERN DIGEST": which manifest a name has; the last match counts. Patterns are
                     those of the shell, over whole names: docker.io/rayproject/ray:2.*

  registry.py serve FOLDER ADDRESS PORT     containerd asks as a mirror of every registry (...?ns=docker.io)
  registry.py add FOLDER ARCHIVE PATTERN... lays the archive's first image into it, and prints its digest
  registry.py find FOLDER NAME              the digest of a name
"""
import fnmatch
import hashlib
import http.server
import json
import os
import re
import shutil
import sys
import tarfile
import urllib.parse

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
CHUNK = 1 << 20


def blob_path(folder, digest):
    return os.path.join(folder, "blobs", digest.replace(":", "-"))


def store(folder, stream):
    """Lays a stream down under its digest; (digest, size)."""
    os.makedirs(os.path.join(folder, "blobs"), exist_ok=True)
    part = os.path.join(folder, "blobs", f".part-{os.getpid()}")
    digest, size = hashlib.sha256(), 0
    with open(part, "wb") as out:
        while piece := stream.read(CHUNK):
            digest.update(piece)
            size += len(piece)
            out.write(piece)
    name = f"sha256:{digest.hexdigest()}"
    os.replace(part, blob_path(folder, name))
    return name, size


def add(folder, archive, patterns):
    with tarfile.open(archive) as tar:
        image = json.load(tar.extractfile("manifest.json"))[0]
        config = store(folder, tar.extractfile(image["Config"]))
        layers = [store(folder, tar.extractfile(name)) for name in image["Layers"]]
    manifest = json.dumps({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": config[0], "size": config[1]},
        "layers": [{"mediaType": LAYER, "digest": d, "size": n} for d, n in layers]}).encode()
    digest = f"sha256:{hashlib.sha256(manifest).hexdigest()}"
    with open(blob_path(folder, digest) + ".part", "wb") as out:
        out.write(manifest)
    os.replace(blob_path(folder, digest) + ".part", blob_path(folder, digest))
    with open(os.path.join(folder, "names"), "a", encoding="utf-8") as names:
        names.writelines(f"{p} {digest}\n" for p in patterns)
    print(digest)


def find(folder, name):
    found = None
    try:
        with open(os.path.join(folder, "names"), encoding="utf-8") as names:
            for line in names:
                pattern, digest = line.split()
                if fnmatch.fnmatchcase(name, pattern):
                    found = digest
    except FileNotFoundError:
        pass
    return found


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = ""
    timeout = 60

    def refuse(self, code, text):
        body = json.dumps({"errors": [{"code": code, "message": text}]}).encode()
        self.send_response(404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def give(self, path, kind, digest):
        try:
            body = open(path, "rb")
        except FileNotFoundError:
            self.refuse("BLOB_UNKNOWN", digest)
            return
        with body:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(os.fstat(body.fileno()).st_size))
            self.send_header("Docker-Content-Digest", digest)
            self.end_headers()
            if self.command == "GET":
                shutil.copyfileobj(body, self.wfile, CHUNK)

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        registry = urllib.parse.parse_qs(url.query).get("ns", [self.headers.get("Host", "")])[0]
        path = urllib.parse.unquote(url.path)
        if path.rstrip("/") == "/v2":
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        m = re.fullmatch(r"/v2/([a-z0-9._/-]+)/(manifests|blobs)/([A-Za-z0-9._:-]+)", path)
        if not m:
            self.refuse("UNSUPPORTED", self.path)
            return
        name, what, reference = m.groups()
        is_digest = re.fullmatch(r"sha256:[0-9a-f]{64}", reference)
        if what == "blobs":
            if is_digest:
                self.give(blob_path(self.folder, reference), "application/octet-stream", reference)
            else:
                self.refuse("DIGEST_INVALID", reference)
            return
        digest = reference
        if not is_digest or not os.path.exists(blob_path(self.folder, reference)):
            whole = f"{registry}/{name}{'@' if is_digest else ':'}{reference}"
            digest = find(self.folder, whole)
            if not digest or is_digest:
                self.refuse("MANIFEST_UNKNOWN", whole)
                return
        self.give(blob_path(self.folder, digest), MANIFEST, digest)

    do_HEAD = do_GET


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    verb, folder = sys.argv[1:3]
    if verb == "serve":
        Handler.folder = folder
        server = http.server.ThreadingHTTPServer((sys.argv[3], int(sys.argv[4])), Handler)
        server.daemon_threads = True
        server.serve_forever()
    elif verb == "add":
        add(folder, sys.argv[3], sys.argv[4:])
    elif verb == "find":
        digest = find(folder, sys.argv[3])
        print(digest or "")
        sys.exit(not digest)
    else:
        sys.exit(__doc__)


main()
