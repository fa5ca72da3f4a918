#!/usr/bin/env python3
"""Measures seedkit beside its peers, in one run, on inputs made here: wall time, CPU time, peak memory.

    benches/compare.py [--rounds N] [--scale MIB]

Peers: skopeo (mirroring into an OCI layout), xorriso and genisoimage (writing an ISO). Everything stays on
loopback and in a temporary folder. Absolute times say little about another machine; the ratios say more.
Every result is checked before its time counts: a fast wrong answer is no answer.
"""

import argparse
import contextlib
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SEEDKIT = ROOT / "target/release/seedkit"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def measure(command, env=None, cwd=None):
    """Runs a command to its end; returns seconds by the wall, of its own code and of the kernel, and peak RSS in MiB.

    Linux counts what the parent had when it started the child, so no peak is below this process' own.
    """
    log = tempfile.TemporaryFile()
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=log, stderr=log, env=env, cwd=cwd)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        log.seek(0)
        sys.exit(f"{command[0]} failed:\n{log.read().decode()[-2000:]}")
    return wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss / 1024


@contextlib.contextmanager
def registry(folder):
    """Runs Debian's docker-registry on a free loopback port; yields host:port."""
    config = folder / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: info}}\nhttp: {{addr: 127.0.0.1:0}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'registry'}}}}}\n"
    )
    server = subprocess.Popen(
        ["docker-registry", "serve", str(config)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        yield Authority(listening(server), server.pid)
    finally:
        server.kill()
        server.wait()


class Authority(str):
    """`host:port` of a server, with the number of its process."""

    def __new__(cls, text, pid):
        authority = super().__new__(cls, text)
        authority.pid = pid
        return authority


def listening(server):
    """Returns where a registry that was just started listens; the rest of its log is read and dropped."""
    for line in server.stderr:
        if found := re.search(r"listening on (127\.0\.0\.1:\d+)", line):
            threading.Thread(target=lambda: [None for _ in server.stderr], daemon=True).start()
            return found.group(1)
    sys.exit("docker-registry did not start")


def put_noise(layout, noise, mib):
    """Writes a layer of random bytes, piece by piece: this process must stay small, see `measure`."""
    digest = hashlib.sha256()
    path = layout / "blobs/sha256/part"
    with path.open("wb") as output:
        for _ in range(mib):
            piece = noise.randbytes(1024 * 1024)
            digest.update(piece)
            output.write(piece)
    path.rename(path.with_name(digest.hexdigest()))
    return {"mediaType": LAYER, "digest": f"sha256:{digest.hexdigest()}", "size": mib * 1024 * 1024}


def put(layout, content, media_type):
    digest = hashlib.sha256(content).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(content)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def make_images(layout, scale):
    """Makes 12 images over one shared base, one of them with a big layer; returns their names."""
    (layout / "blobs/sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    noise = random.Random(1)
    base = put_noise(layout, noise, scale)
    entries = []
    for number in range(12):
        own = put_noise(layout, noise, scale * 6 if number == 7 else scale // 2 + 1)
        config = {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [base["digest"], own["digest"]]},
        }
        config = put(layout, json.dumps(config).encode(), CONFIG)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [base, own]}
        root = put(layout, json.dumps(manifest).encode(), MANIFEST)
        name = f"bench/image{number:02}:1"
        entries.append(root | {"annotations": {"org.opencontainers.image.ref.name": name}})
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries]


def spec(folder, server, names):
    """Writes a spec that mirrors the images; returns its path."""
    (folder / "k3s").write_text("#!/bin/sh\n")
    lines = "".join(f"    - bench.example/{name}\n" for name in names)
    path = folder / "seedkit.yaml"
    path.write_text(
        "apiVersion: seedkit/v1\nname: bench\nplatforms: [linux/amd64]\n"
        "k3s:\n  version: v1.35.0+k3s1\n  binary:\n    linux/amd64: { path: k3s }\n"
        "registry:\n  address: 192.168.6.1:5000\n"
        f"images:\n  k3s: false\n  inline:\n{lines}"
        f'sources:\n  bench.example: {{ from: "http://{server}", plainHttp: true }}\n'
        "nodes:\n  - name: n1\n    role: server\n    address: 192.168.6.10/24\n    gateway: 192.168.6.1\n"
        '    nameservers: [192.168.6.1]\n    mac: "52:54:00:06:00:10"\n'
        "allow:\n  - { id: SK0302, reason: no node boots from it }\n"
    )
    return path


def layout_bytes(layout):
    """Re-hashes every blob of a layout; returns their bytes together."""
    total = 0
    for blob in (layout / "blobs/sha256").iterdir():
        with blob.open("rb") as opened:
            if hashlib.file_digest(opened, "sha256").hexdigest() != blob.name:
                sys.exit(f"{blob} has the wrong content")
        total += blob.stat().st_size
    return total


def mirror_rounds(folder, server, names, rounds):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    path = spec(folder, server, names)
    base = [SEEDKIT, "-f", path, "--progress", "none"]
    subprocess.run([*base, "lock", "--cache-dir", folder / "lock-cache"], check=True, env=environment, stdout=subprocess.DEVNULL)
    results = {}
    for _ in range(rounds):
        cache, output, peer = folder / "cache", folder / "ours", folder / "theirs"
        for used in (cache, output, peer):
            shutil.rmtree(used, ignore_errors=True)
        ours = [*base, "mirror", "--cache-dir", cache, "-o", output]
        copies = "; ".join(
            f"skopeo copy -q --all --src-tls-verify=false docker://{server}/{name} oci:{peer}:bench.example/{name}"
            for name in names
        )
        theirs = ["sh", "-ec", copies]
        for label, command in (
            ("mirror, first run: seedkit", ours),
            ("mirror, first run: skopeo copy, a loop", theirs),
            ("mirror, nothing to do: seedkit", ours),
            ("mirror, nothing to do: skopeo copy, a loop", theirs),
        ):
            results.setdefault(label, []).append(measure(command, environment))
        if layout_bytes(output) != layout_bytes(peer):
            sys.exit("the two layouts hold different bytes")
    return results


def iso_rounds(folder, layout, rounds):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    path = folder / "seedkit.yaml"
    seed = folder / "isos/seed-n1.iso"
    base = [SEEDKIT, "-f", path, "--progress", "none", "iso", "--cache-dir", folder / "cache", "-o", folder / "isos"]
    subprocess.run(base, check=True, env=environment, stdout=subprocess.DEVNULL)
    tree = folder / "tree"
    subprocess.run(["xorriso", "-osirrox", "on", "-indev", seed, "-extract", "/", tree], check=True, capture_output=True)
    subprocess.run(["chmod", "-R", "u+rwX", tree], check=True)
    results = {}
    writer = bench_program("iso")
    for _ in range(rounds):
        for label, command in (
            ("ISO: seedkit's writer, from a prepared folder", [writer, tree, folder / "s.iso"]),
            ("ISO: xorriso, from a prepared folder", ["xorriso", "-as", "mkisofs", "-quiet", "-V", "CIDATA", "-J", "-joliet-long", "-R", "-iso-level", "3", "-o", folder / "x.iso", tree]),
            ("ISO: genisoimage, from a prepared folder", ["genisoimage", "-quiet", "-V", "CIDATA", "-J", "-joliet-long", "-R", "-iso-level", "3", "-o", folder / "g.iso", tree]),
        ):
            results.setdefault(label, []).append(measure(command, environment))
    return results


def bench_program(name):
    """Builds a program of this folder; returns its path."""
    command = ["cargo", "bench", "--locked", "--no-run", "--bench", name, "--message-format=json", "--quiet"]
    output = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout
    messages = [json.loads(line) for line in output.splitlines()]
    return next(m["executable"] for m in messages if m.get("target", {}).get("name") == name and m.get("executable"))


def print_table(results):
    """Prints one line for each label: what `measure` returned in all rounds."""
    width = max(map(len, results)) + 2
    print(f"{'':{width}} {'wall s':>20} {'user s':>7} {'kernel s':>9} {'peak MiB':>9}")
    for label, rounds in results.items():
        walls, users, kernels, peaks = zip(*rounds)
        wall = f"{statistics.median(walls):.2f} [{min(walls):.2f}-{max(walls):.2f}]"
        cpu = f"{statistics.median(users):7.2f} {statistics.median(kernels):9.2f}"
        print(f"{label:{width}} {wall:>20} {cpu} {max(peaks):9.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=int, default=50, help="MiB of the shared layer (default 50)")
    arguments = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], check=True, cwd=ROOT)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        layout = folder / "source"
        names = make_images(layout, arguments.scale)
        with registry(folder) as server:
            for name in names:
                source, target = f"oci:{layout}:{name}", f"docker://{server}/{name}"
                subprocess.run(["skopeo", "copy", "-q", "--dest-tls-verify=false", source, target], check=True)
            results = mirror_rounds(folder, server, names, arguments.rounds)
        results |= iso_rounds(folder, layout, arguments.rounds)
        size = layout_bytes(layout) / 1024 / 1024
    print(f"{len(names)} images, {size:.0f} MiB of blobs; median [min-max] of {arguments.rounds} rounds\n")
    print_table(results)


if __name__ == "__main__":
    main()
