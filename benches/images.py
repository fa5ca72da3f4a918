#!/usr/bin/env python3
"""Images over a registry on loopback: seedkit beside skopeo, in paired runs, one table.

    benches/images.py                     all groups, three rounds
    benches/images.py mirror --rounds 5   only some: mirror fleet growth latency capped push serve

All programs take the same images from the same docker-registry of Debian, one after the other in each round; the blobs of
the layouts are hashed before a time counts. `latency` and `capped` go through benches/registry_proxy.py.
Needs docker-registry, skopeo and curl. A skopeo of today and crane are measured too: Debian 13's, with the libraries it
was linked with, and unstable's, both downloaded by apt and unpacked into target/, never installed. CRANE and SKOPEO name
others; empty, they go without.

Two yardsticks are measured in each round: hashing the same bytes once, by Python's OpenSSL on one core, and writing them
once, by cat. The second is there because a virtual machine may pay its host for each page it has not used for a while:
the same bytes can cost the kernel ten times as much. So before each first run as much is written and removed, for all.
"""

import argparse
import concurrent.futures
import contextlib
import hashlib
import json
import os
import pathlib
import random
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import compare

HERE = pathlib.Path(__file__).resolve().parent
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def peer(name, suite, packages):
    """Returns how a shell calls a program of another Debian, or None with a word about why there is none."""
    variable = name.upper()
    if variable in os.environ:
        return os.environ[variable] or None
    folder = HERE.parent / "target" / f"{name}-{suite}"
    try:
        if not folder.exists():
            unpack(suite, packages, folder)
        libraries = folder / "usr/lib/x86_64-linux-gnu"
        command = [folder / "usr/bin" / name]
        if libraries.exists():
            command = [libraries / "ld-linux-x86-64.so.2", "--library-path", libraries, *command]
        subprocess.run([*command, "--help"], check=True, capture_output=True)
    except (subprocess.CalledProcessError, StopIteration, OSError) as error:
        print(f"without {name}: {error}", file=sys.stderr)
        return None
    return " ".join(map(str, command))


def unpack(suite, packages, folder):
    """Unpacks packages of another Debian without installing them; the machine's own sources stay as they are."""
    run = lambda *command, **more: subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout
    targets = run("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages")
    # The security updates are elsewhere.
    place = next(line.split()[0] for line in targets.splitlines() if line.endswith("-updates"))
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "lists/partial").mkdir(parents=True)
        keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
        (scratch / "sources.list").write_text(f"deb [signed-by={keys}] {place} {suite} main\n")
        options = {"Etc::SourceList": scratch / "sources.list", "Etc::SourceParts": "-", "State::Lists": scratch / "lists"}
        apt = ["apt-get", "-qq", *(f"-oDir::{name}={value}" for name, value in options.items())]
        run(*apt, "update")
        run(*apt, "download", *packages, cwd=scratch)
        for package in scratch.glob("*.deb"):
            run("dpkg-deb", "-x", package, scratch / "unpacked")
        folder.parent.mkdir(exist_ok=True)
        shutil.move(scratch / "unpacked", folder)


def version_of(command):
    """Returns the name and version of a skopeo."""
    said = subprocess.run([*command.split(), "--version"], check=True, capture_output=True, text=True).stdout
    return said.strip().replace(" version", "")


# What Debian 13's skopeo is linked with.
SKOPEO = ["skopeo", "libc6", "libgpgme11t64", "libassuan9", "libgpg-error0", "libsqlite3-0", "libsubid5"]
SKOPEO += ["libdevmapper1.02.1", "libselinux1", "libudev1", "libpcre2-8-0", "libcap2"]


def image(layout, layers, platform):
    """Writes configuration and manifest over `layers`; returns the manifest's descriptor."""
    system, architecture = platform
    config = {
        "os": system,
        "architecture": architecture,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
    }
    config = compare.put(layout, json.dumps(config).encode(), compare.CONFIG)
    manifest = {"schemaVersion": 2, "mediaType": compare.MANIFEST, "config": config, "layers": layers}
    return compare.put(layout, json.dumps(manifest).encode(), compare.MANIFEST)


def name_root(root, name):
    return root | {"annotations": {"org.opencontainers.image.ref.name": name}}


def begin_layout(layout):
    (layout / "blobs/sha256").mkdir(parents=True)
    (layout / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')


def end_layout(layout, entries):
    (layout / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    return [entry["annotations"]["org.opencontainers.image.ref.name"] for entry in entries]


def make_large(layout, scale):
    """20 images for two platforms each, about 44 x scale MiB together: three shared bases, one layer of 12 x scale."""
    begin_layout(layout)
    noise = random.Random(2)
    bases = [compare.put_noise(layout, noise, scale) for _ in range(3)]
    entries = []
    for number in range(20):
        base = bases[number % 3]
        own = compare.put_noise(layout, noise, 12 * scale if number == 7 else scale)
        other = compare.put_noise(layout, noise, scale // 2 + 1)
        children = [
            image(layout, layers, ("linux", architecture)) | {"platform": {"os": "linux", "architecture": architecture}}
            for layers, architecture in (([base, own], "amd64"), ([base, other], "arm64"))
        ]
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}
        root = compare.put(layout, json.dumps(index).encode(), OCI_INDEX)
        entries.append(name_root(root, f"large/image{number:02}:1"))
    return end_layout(layout, entries)


def make_fleet(layout, count):
    """Small images with a layer of their own each, and ten bases between them."""
    begin_layout(layout)
    noise = random.Random(3)
    piece = lambda size: compare.put(layout, noise.randbytes(size), compare.LAYER)
    bases = [piece(200_000) for _ in range(10)]
    entries = []
    for number in range(count):
        root = image(layout, [bases[number % 10], piece(300_000)], ("linux", "amd64"))
        entries.append(name_root(root, f"fleet/image{number:03}:1"))
    return end_layout(layout, entries)


def hash_once(layout):
    """Returns what hashing every blob of a layout once on one core costs: wall and CPU seconds."""
    wall, before = time.monotonic(), os.times()
    for blob in sorted((layout / "blobs/sha256").iterdir()):
        with blob.open("rb") as opened:
            hashlib.file_digest(opened, "sha256")
    after = os.times()
    return time.monotonic() - wall, after.user - before.user, after.system - before.system, 0


@contextlib.contextmanager
def proxy(server, delay, rate=0):
    command = [sys.executable, HERE / "registry_proxy.py", server, "--delay", str(delay), "--rate", str(rate)]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield running.stdout.readline().strip()
    finally:
        running.kill()
        running.wait()


class Bench:
    def __init__(self, folder, server, rounds):
        self.folder, self.server, self.rounds = folder, server, rounds
        self.crane = peer("crane", "sid", ["crane"])
        commands = filter(None, ("skopeo", peer("skopeo", "trixie", SKOPEO)))
        self.skopeos = {version_of(command): command for command in commands}
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
        self.results = {}
        self.limits = {}
        self.sizes = {}

    def measure(self, label, command):
        self.results.setdefault(label, []).append(compare.measure(command, self.environment))

    def write_once(self, layout):
        """Writes all blobs of a layout into one file, and removes it; returns what that costs."""
        path = self.folder / "written"
        try:
            return compare.measure(["sh", "-c", 'cat "$1"/blobs/sha256/* > "$2"', "sh", layout, path], self.environment)
        finally:
            path.unlink()

    def fill(self, layout, names):
        """Puts a layout into the registry."""
        for name in names:
            source, target = f"oci:{layout}:{name}", f"docker://{self.server}/{name}"
            command = ["skopeo", "copy", "-q", "--all", "--dest-tls-verify=false", source, target]
            subprocess.run(command, check=True, env=self.environment)

    def seedkit(self, server, names):
        folder = self.folder / "spec"
        folder.mkdir(exist_ok=True)
        path = compare.spec(folder, server, names)
        if names[0].startswith("large"):
            text = path.read_text().replace("[linux/amd64]", "[linux/amd64, linux/arm64]")
            path.write_text(text.replace("linux/amd64: { path: k3s }", "linux/amd64: { path: k3s }\n    linux/arm64: { path: k3s }"))
        base = [compare.SEEDKIT, "-f", path, "--progress", "none"]
        cache = self.folder / "lock-cache"
        shutil.rmtree(cache, ignore_errors=True)
        subprocess.run([*base, "--quiet", "lock", "--cache-dir", cache], check=True, env=self.environment, stdout=subprocess.DEVNULL)
        return base

    def loop(self, label, command, names, share):
        """Returns the run of a command for each name, one after the other."""
        return label, ["sh", "-ec", "; ".join(map(command.format, names))], share

    def mirror(self, label, server, source, names, jobs=(8,), warm=True, skopeo_names=None):
        """Mirrors with all programs in each round; `source` is the layout that the registry was filled from.

        `skopeo_names`: fewer, where it would take too long; its time is then that of all, in proportion, and its label
        says so.
        """
        base = self.seedkit(server, names)
        some = skopeo_names or names
        share = len(names) / len(some)
        note = "" if share == 1 else f", {len(some)} of {len(names)}, times {share:.0f}"
        for _ in range(self.rounds):
            stores, ours, theirs = (self.folder / name for name in ("stores", "ours", "theirs"))
            for used in (stores, ours, theirs):
                shutil.rmtree(used, ignore_errors=True)
                used.mkdir()
            runs = []
            for number in jobs:
                words = ["--jobs", str(number), "mirror", "--cache-dir", stores / str(number), "-o", ours / str(number)]
                runs.append((f"seedkit, {number} jobs", [*base, *words], 1))
            for number, (program, skopeo) in enumerate(self.skopeos.items()):
                copy = f"{skopeo} copy -q --all --src-tls-verify=false docker://{server}/{{0}} oci:{theirs}/{number}:{{0}}"
                runs.append(self.loop(f"{program}{note}", copy, some, share))
            if self.crane:
                pull = f"{self.crane} pull --insecure --format=oci {server}/{{0}} {theirs}/crane"
                runs.append(self.loop(f"crane{note}", pull, some, share))
            for again in ("first run", "again")[: 2 if warm else 1]:
                for program, command, times in runs:
                    name = f"{label}, {again}: {program}"
                    if again == "first run":
                        self.write_once(source)
                    served = cpu_of(self.server.pid)
                    wall, user, kernel, peak = compare.measure(command, self.environment)
                    served = cpu_of(self.server.pid) - served
                    self.results.setdefault(name, []).append((wall * times, user * times, kernel * times, peak))
                    self.limits.setdefault(name, []).append(wall / ((user + kernel + served) / os.cpu_count()))
            if share == 1:
                if len(sizes := {compare.layout_bytes(layout) for layout in (*ours.iterdir(), *theirs.iterdir())}) > 1:
                    sys.exit(f"the layouts hold different bytes: {sizes}")
            self.results.setdefault(f"{label}, every byte hashed once", []).append(hash_once(source))
            self.results.setdefault(f"{label}, every byte written once", []).append(self.write_once(source))

    def growth(self, label, server, source, names):
        """Mirrors an eighth, a quarter, a half and all of the images, with seedkit alone."""
        for share in (8, 4, 2, 1):
            some = names[::share]
            base = self.seedkit(server, some)
            cache, output = self.folder / "cache", self.folder / "ours"
            name = f"{label}: {len(some)} of them"
            for _ in range(self.rounds):
                for used in (cache, output):
                    shutil.rmtree(used, ignore_errors=True)
                self.write_once(source)
                self.measure(name, [*base, "mirror", "--cache-dir", cache, "-o", output])
            self.sizes[name] = len(some), compare.layout_bytes(output)

    def push(self, layout, names):
        """Pushes the images of one kit into two empty registries, with both programs."""
        base = self.seedkit(self.server, names)
        kit = self.folder / "kit"
        command = [*base, "build", "--cache-dir", self.folder / "kit-cache", "-o", kit]
        subprocess.run(command, check=True, env=self.environment, stdout=subprocess.DEVNULL)
        for _ in range(self.rounds):
            with other_registry(self.folder / "one") as one, other_registry(self.folder / "two") as two:
                ours = [compare.SEEDKIT, "--progress", "none", "push", kit, one, "--plain-http"]
                copies = "; ".join(
                    f"skopeo copy -q --all --dest-tls-verify=false oci:{layout}:{name} docker://{two}/{name}"
                    for name in names
                )
                for again in ("first run", "again"):
                    self.measure(f"push, {again}: seedkit", ours)
                    self.measure(f"push, {again}: skopeo", ["sh", "-ec", copies])
        return kit

    def serve(self, kit, names):
        """Pulls every blob of the kit from `seedkit serve` and from docker-registry, over TLS, eight at a time."""
        with other_registry(self.folder / "tls", kit / "registry") as theirs:
            for name in names:
                source, target = f"docker://{self.server}/{name}", f"docker://{theirs}/{name}"
                command = ["skopeo", "copy", "-q", "--all", "--src-tls-verify=false", "--dest-cert-dir", self.certificates(kit), source, target]
                subprocess.run(command, check=True, env=self.environment)
            command = [compare.SEEDKIT, "--json", "--progress", "none", "serve", kit, "--listen", "127.0.0.1:0"]
            log = (self.folder / "serve.log").open("wb")
            running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=self.environment)
            try:
                said = ""
                while not said.endswith("\n}\n"):
                    said += running.stdout.readline()
                ours = json.loads(said)["listen"]
                for _ in range(self.rounds):
                    for label, server, process in (("seedkit serve", ours, running.pid), ("docker-registry", theirs, theirs.pid)):
                        before = cpu_of(process)
                        wall, total = pull_all(server, names, kit / "registry/ca.crt")
                        peak = peak_of(process)
                        key = f"serve {total / 2**20:.0f} MiB over TLS, 8 at once: {label}"
                        self.results.setdefault(key, []).append((wall, cpu_of(process) - before, 0, peak))
            finally:
                running.terminate()
                running.wait()

    def certificates(self, kit):
        folder = self.folder / "certs"
        folder.mkdir(exist_ok=True)
        shutil.copy(kit / "registry/ca.crt", folder / "ca.crt")
        return folder


@contextlib.contextmanager
def other_registry(folder, certificates=None):
    """Runs a registry with an empty store; over TLS with a kit's certificate, if given."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tls = ""
    if certificates:
        tls = f", tls: {{certificate: {certificates / 'registry.crt'}, key: {certificates / 'registry.key'}}}"
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: info, accesslog: {{disabled: true}}}}\nhttp: {{addr: 127.0.0.1:0{tls}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'store'}}}}}\n"
    )
    server = subprocess.Popen(["docker-registry", "serve", str(config)], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        yield compare.Authority(compare.listening(server), server.pid)
    finally:
        server.kill()
        server.wait()


def cpu_of(process):
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(process):
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024


def pull_all(server, names, ca_file):
    """Pulls every blob that the images name, each once; returns seconds and bytes. curl does it, eight at a time."""
    context = ssl.create_default_context(cafile=str(ca_file))
    accept = ", ".join((compare.MANIFEST, OCI_INDEX))
    blobs = {}
    for name in names:
        repository, tag = name.split(":")
        waiting = [tag]
        while waiting:
            url = f"https://{server}/v2/{repository}/manifests/{waiting.pop()}"
            request = urllib.request.Request(url, headers={"Accept": accept})
            manifest = json.load(urllib.request.urlopen(request, context=context))
            waiting += [child["digest"] for child in manifest.get("manifests", [])]
            for layer in manifest.get("layers", []):
                blobs.setdefault(layer["digest"], (repository, layer["size"]))
    urls = [f"https://{server}/v2/{repository}/blobs/{digest}" for digest, (repository, _) in blobs.items()]

    def pull(some):
        arguments = ["curl", "--silent", "--fail", "--cacert", str(ca_file)]
        for url in some:
            arguments += ["--output", "/dev/null", url]
        subprocess.run(arguments, check=True)

    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(pull, [urls[number::8] for number in range(8)]))
    return time.monotonic() - begin, sum(size for _, size in blobs.values())


GROUPS = ("mirror", "fleet", "growth", "latency", "capped", "push", "serve")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=int, default=45, help="MiB of one layer of the large set (default 45: about 2 GB)")
    parser.add_argument("--fleet", type=int, default=300, help="how many small images (default 300)")
    parser.add_argument("--delay", type=float, default=20, help="milliseconds in each direction (default 20)")
    parser.add_argument("--rate", type=float, default=22, help="megabytes a second of a capped connection (default 22)")
    parser.add_argument("--program", help="the seedkit to measure, instead of building one")
    arguments = parser.parse_args()
    groups = arguments.groups or GROUPS
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(unknown)}")
    if arguments.program:
        compare.SEEDKIT = pathlib.Path(arguments.program).resolve()
    else:
        subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], check=True, cwd=compare.ROOT)
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder, compare.registry(pathlib.Path(folder)) as server:
        folder = pathlib.Path(folder)
        bench = Bench(folder, server, arguments.rounds)
        if {"mirror", "growth", "capped", "push", "serve"} & set(groups):
            large_layout = folder / "large"
            large = make_large(large_layout, arguments.scale)
            bench.fill(large_layout, large)
        if {"fleet", "growth", "latency"} & set(groups):
            fleet_layout = folder / "fleet"
            fleet = make_fleet(fleet_layout, arguments.fleet)
            bench.fill(fleet_layout, fleet)
        if "mirror" in groups:
            bench.mirror("20 images", server, large_layout, large)
        if "fleet" in groups:
            bench.mirror(f"{len(fleet)} small images", server, fleet_layout, fleet)
        if "growth" in groups:
            bench.growth("large images", server, large_layout, large)
            bench.growth("small images", server, fleet_layout, fleet)
        if "latency" in groups:
            with proxy(server, arguments.delay) as far:
                label = f"{len(fleet)} small images, {2 * arguments.delay:.0f} ms away"
                bench.mirror(label, far, fleet_layout, fleet, jobs=(8, 32), skopeo_names=fleet[:: max(1, len(fleet) // 30)])
        if "capped" in groups:
            with proxy(server, arguments.delay, arguments.rate) as far:
                label = f"20 images, {2 * arguments.delay:.0f} ms away, {arguments.rate:.0f} MB/s a connection"
                bench.mirror(label, far, large_layout, large, jobs=(8, 16), warm=False)
        if {"push", "serve"} & set(groups):
            kit = bench.push(large_layout, large)
            if "serve" in groups:
                bench.serve(kit, large)
    print(f"median [min-max] of {arguments.rounds} rounds; load average before: {load:.1f}\n")
    compare.print_table(bench.results)
    print_ratios(bench)


def print_ratios(bench):
    """Prints seedkit's wall time as parts of its peers', and of what all CPUs together must do for it."""
    walls = {label: statistics.median(wall for wall, *_ in rounds) for label, rounds in bench.results.items()}
    print()
    for label in (label for label in walls if ": seedkit" in label):
        group = label.rpartition(": ")[0]
        for peer in (peer for peer in walls if peer.startswith(f"{group}: ") and ": seedkit" not in peer):
            print(f"{label}: {walls[label] / walls[peer]:.3f} of {peer.rpartition(': ')[2]}'s time")
        if "first run" in label and "away" not in label and label in bench.limits:
            limit = statistics.median(bench.limits[label])
            print(f"{label}: {limit:.2f} times what client and registry need of all CPUs")
    for label, (images, size) in bench.sizes.items():
        cpu = statistics.median(user + kernel for _, user, kernel, _ in bench.results[label])
        print(f"{label}: {size / 1e6:.0f} MB, {1e3 * cpu / images:.1f} ms of CPU an image, {1e9 * cpu / size:.1f} s a GB")


if __name__ == "__main__":
    main()
