#!/usr/bin/env python3
"""Measures `seedkit check` of a kit beside sha256sum of the same files, and of a spec alone.

    benches/check.py [--rounds N] [--scale MIB]

The kit is the lab's, with images of random bytes. Everything is read from the page cache: what is measured is the work.
A check hashes every file of the kit once, and every file on each node's disc once more.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

from compare import ROOT, SEEDKIT, make_images, measure, print_table


def build(folder, scale):
    """Builds the lab with more images; returns its spec and its kit."""
    lab = folder / "lab"
    shutil.copytree(ROOT / "fixtures/lab", lab, ignore=shutil.ignore_patterns("secrets"))
    names = make_images(lab / "noise", scale)
    index = lab / "noise/index.json"
    index.write_text(index.read_text().replace('"bench/', '"bench.example/bench/'))
    with (lab / "images.txt").open("a") as images:
        images.writelines(f"bench.example/{name}\n" for name in names)
    spec = lab / "seedkit.yaml"
    source = '  quay.io: { from: "oci:images" }\n'
    spec.write_text(spec.read_text().replace(source, f'{source}  bench.example: {{ from: "oci:noise" }}\n'))
    kit = folder / "kit"
    base = [SEEDKIT, "-f", spec, "--cache-dir", folder / "cache", "--quiet"]
    subprocess.run([*base, "lock"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*base, "build", "-o", kit], check=True, stdout=subprocess.DEVNULL)
    return spec, kit


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=int, default=20, help="MiB of the images' shared layer (default 20)")
    arguments = parser.parse_args()
    if not SEEDKIT.exists():
        sys.exit("build it first: cargo build --release --locked")
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        spec, kit = build(pathlib.Path(folder), arguments.scale)
        size = sum(path.stat().st_size for path in kit.rglob("*") if path.is_file()) / 1024 / 1024
        for _ in range(arguments.rounds):
            for label, command, cwd in (
                ("a kit: sha256sum -c SHA256SUMS", ["sha256sum", "--quiet", "-c", "SHA256SUMS"], kit),
                ("a kit: seedkit verify", [SEEDKIT, "verify", kit, "--quiet"], None),
                ("a kit: seedkit check", [SEEDKIT, "check", kit, "--quiet"], None),
                ("a spec and its lock: seedkit check", [SEEDKIT, "-f", spec, "check"], None),
            ):
                results.setdefault(label, []).append(measure(command, cwd=cwd))
    print(f"a kit of {size:.0f} MiB; median [min-max] of {arguments.rounds} rounds\n")
    print_table(results)


if __name__ == "__main__":
    main()
