#!/usr/bin/env python3
"""Measures how ops packages are locked and packed, beside apt, in one run: wall time, CPU time, peak memory.

    benches/packages.py [--rounds N]

Both take the same packages from the mirror that this machine's own apt uses, apt with a state of its own. The
network is part of the wall times; CPU times are without it. What apt downloads is compared with what the bundle
holds before any time counts.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True  # no folder beside the two programs
from compare import ROOT, SEEDKIT, measure, print_table

SUITE = "bookworm"
NAMES = (
    "jq htop ethtool iproute2 dnsutils telnet psmisc sysstat iftop iotop dstat yq conntrack socat ebtables"
).split()
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def said(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def places():
    """Returns where the machine's own sources have the release and its updates: pairs of a URL and a suite."""
    lines = said("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
    found = [line.split() for line in lines.splitlines()]
    found = [(url.rstrip("/"), suite) for url, suite, component in found if component == "main"]
    wanted = [place for place in found if place[1] in (SUITE, f"{SUITE}-updates", f"{SUITE}-security")]
    if len(wanted) != 3:
        sys.exit(f"the machine's apt has not the three suites of {SUITE}, but {found}")
    return wanted


def environment(folder):
    """Returns an environment in which seedkit takes the same way to the mirror as apt does."""
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    for scheme in ("http", "https"):
        proxy = said("apt-config", "dump", "--format", "%v%n", f"Acquire::{scheme}::Proxy").strip()
        proxy = proxy or os.environ.get(f"{scheme}_proxy", "")
        if proxy:
            variables[f"{scheme}_proxy"] = proxy
    return variables


def write_spec(folder):
    (folder / "k3s").write_text("#!/bin/sh\n")
    sources = "".join(
        f'    - urls: ["{url}"]\n      suites: [{suite}]\n      keyring: "{KEYRING}"\n' for url, suite in places()
    )
    (folder / "seedkit.yaml").write_text(
        "apiVersion: seedkit/v1\nname: bench\nplatforms: [linux/amd64]\n"
        "k3s:\n  version: v1.35.0+k3s1\n  binary:\n    linux/amd64: { path: k3s }\n"
        'registry: { address: "192.168.6.1:5000" }\nimages: { k3s: false }\n'
        f"packages:\n  suite: {SUITE}\n  sources:\n{sources}  names: [{', '.join(NAMES)}]\n"
        "nodes:\n  - name: n1\n    role: server\n    address: 192.168.6.10/24\n    gateway: 192.168.6.1\n"
        '    nameservers: [192.168.6.1]\n    mac: "52:54:00:06:00:10"\n'
    )


def write_apt(folder):
    """Writes a configuration with which apt sees the three suites and an empty system; returns its path."""
    for name in ("lists/partial", "archives/partial"):
        (folder / name).mkdir(parents=True)
    (folder / "status").write_text("")
    # Signed by whom is checked, as seedkit does.
    (folder / "sources.list").write_text(
        "".join(f"deb [arch=amd64 signed-by={KEYRING}] {url} {suite} main\n" for url, suite in places())
    )
    path = folder / "apt.conf"
    path.write_text(
        f"""#clear APT::Architectures; #clear APT::Update; #clear DPkg::Post-Invoke; #clear Acquire::IndexTargets;
APT::Architecture "amd64"; APT::Architectures {{ "amd64"; }}; APT::Install-Recommends "false";
APT::Sandbox::User ""; APT::Get::Assume-Yes "true"; Acquire::Languages "none"; Acquire::GzipIndexes "false";
Binary::apt-get::APT::Keep-Downloaded-Packages "true"; Debug::NoLocking "true";
Acquire::IndexTargets::deb::Packages {{
  MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"; flatMetaKey "Packages";
  ShortDescription "Packages"; Description "packages"; Optional "false";
}};
Dir::State "{folder}"; Dir::State::lists "{folder}/lists"; Dir::State::status "{folder}/status";
Dir::State::extended_states "{folder}/extended_states"; Dir::Cache "{folder}";
Dir::Cache::archives "{folder}/archives"; Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin"; Dir::Etc::sourcelist "{folder}/sources.list";
Dir::Etc::sourceparts "/dev/null"; Dir::Etc::preferences "/dev/null"; Dir::Etc::preferencesparts "/dev/null";
"""
    )
    return path


def digests(folder):
    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("**/*.deb")}


def compare_packages(bundles, archives):
    """Ends the program if apt chose other packages; returns how many there are and their MiB."""
    (bundle,) = bundles.glob("*.tar.gz")
    with tempfile.TemporaryDirectory() as unpacked:
        unpacked = pathlib.Path(unpacked)
        subprocess.run(["tar", "-xf", bundle, "-C", unpacked], check=True)
        ours, theirs = digests(unpacked), digests(archives)
        # seedkit also takes what a node may have of the same sources, in the versions that go together.
        if not theirs or not theirs <= ours or len(ours) > len(theirs) * 1.1:
            sys.exit(f"apt took {len(theirs)} packages; the bundle has {len(ours)}, {len(ours & theirs)} of them the same")
        return len(theirs), len(ours), sum(path.stat().st_size for path in unpacked.glob("**/*.deb")) / 1024 / 1024


def run(folder, rounds):
    work, apt = folder / "ours", folder / "theirs"
    work.mkdir(), apt.mkdir()
    write_spec(work)
    variables = environment(folder)
    seedkit = [SEEDKIT, "--progress", "none", "--cache-dir", work / "store"]
    lock, pack = [*seedkit, "lock"], [*seedkit, "pack", "packages", "-o", work / "out"]
    get = f"apt-get -q -c {write_apt(apt)}"
    update, choose = f"{get} update", f"{get} --print-uris install {' '.join(NAMES)}"
    download = ["sh", "-ec", f"{get} --download-only install {' '.join(NAMES)}"]
    results = {}

    def count(label, command):
        results.setdefault(label, []).append(measure(command, variables, work))

    for _ in range(rounds):
        for used in (work / "store", work / "out", apt / "lists", apt / "archives"):
            shutil.rmtree(used, ignore_errors=True)
        for used in (work / "seedkit.lock", *apt.glob("*.bin")):
            used.unlink(missing_ok=True)
        (apt / "lists/partial").mkdir(parents=True), (apt / "archives/partial").mkdir(parents=True)
        count("lock, nothing in the store: seedkit", lock)
        count("lock, nothing in the store: apt-get update, install --print-uris", ["sh", "-ec", f"{update}; {choose}"])
        for used in apt.glob("*.bin"):
            used.unlink()
        count("lock, indices in the store: seedkit", lock)
        count("lock, indices in the store: apt-get update, install --print-uris", ["sh", "-ec", f"{update}; {choose}"])
        count("pack, no package in the store: seedkit", pack)
        count("pack, no package in the store: apt-get --download-only install", download)
        # What a first `pack` does besides, so that no node meets a package that cannot be unpacked.
        read = f"for deb in {apt}/archives/*.deb; do dpkg-deb --fsys-tarfile $deb >/dev/null; done"
        count("every package read to its end: dpkg-deb, a loop", ["sh", "-ec", read])
        count("pack, packages in the store: seedkit", pack)
        count("pack, packages in the store: apt-get --download-only install", download)
        found = compare_packages(work / "out", apt / "archives")
    return found, results


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], check=True, cwd=ROOT)
    with tempfile.TemporaryDirectory() as folder:
        (theirs, ours, size), results = run(pathlib.Path(folder), arguments.rounds)
    print(f"{theirs} packages by apt, {ours} by seedkit, {size:.0f} MiB; median [min-max] of {arguments.rounds} rounds\n")
    print_table(results)


if __name__ == "__main__":
    main()
