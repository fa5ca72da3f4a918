"""Looks around in a guest that has settled, and prints what it sees as JSON. It changes nothing.

Settled: cloud-init is done, the bootstrap has said how it went, and systemd has nothing more to start.
"""

import glob
import hashlib
import json
import os
import subprocess
import time

ROLE = "server" if os.path.exists("/etc/systemd/system/k3s.service") else "agent"
UNIT = "k3s" if ROLE == "server" else "k3s-agent"

QUESTIONS = {
    "role": f"echo {ROLE}",
    "hostname": "hostname",
    "addresses": "ip -oneline -family inet address show scope global | awk '{ print $4 }'",
    "routes": "ip -family inet route show default",
    "timezone": "readlink -f /etc/localtime",
    "clock": "date +%s",
    # `cloud-init status` says "disabled" as soon as the node is done and cloud-init rests.
    "cloud-init": "cat /run/cloud-init/result.json",
    "failed units": "systemctl list-units --failed --no-legend --plain",
    "system": "systemctl is-system-running",
    "unit": f"systemctl is-active {UNIT}.service",
    "unit starts": f"systemctl show --property=ExecMainStartTimestampMonotonic --value {UNIT}.service",
    "units of k3s": "systemctl list-unit-files --no-legend --plain 'k3s*' | awk '{ print $1, $2 }'",
    "running units of k3s": "systemctl list-units --no-legend --plain --state=active 'k3s*' | awk '{ print $1 }'",
    "stage": "systemctl is-active seedkit-stage.service",
    "seed id": "cat /var/lib/seedkit/staged",
    "done": f"cat /var/lib/{UNIT}-bootstrap.done",
    "failed": f"cat /var/lib/{UNIT}-bootstrap.failed",
    "markers": "ls /var/lib/*-bootstrap.*",
    "bootstrap log": "cat /var/log/k3s-bootstrap.log",
    "cloud-init rests": "cat /etc/cloud/cloud-init.disabled",
    "images": "/usr/local/bin/k3s ctr images ls -q",
    "image digests": "/usr/local/bin/k3s ctr images ls | awk 'NR > 1 { print $1, $3 }'",
    "unready images": "/usr/local/bin/k3s ctr images check | awk 'NR > 1 && !(/ complete / && $NF == \"true\")'",
    "containerd": "/usr/local/bin/k3s ctr version",
    "ready": f"/usr/local/bin/k3s kubectl --kubeconfig "
    + ("/etc/rancher/k3s/k3s.yaml" if ROLE == "server" else "/var/lib/rancher/k3s/agent/kubelet.kubeconfig")
    + " get node $(hostname) -o 'jsonpath={.status.conditions[?(@.type==\"Ready\")].status}'",
    "ops marker": "cat /var/lib/k8s-ops-packages-installed",
    "ops program": "seedkit-lab-hello",
    "ops log": "cat /var/log/k8s-ops-packages.log",
    "dpkg audit": "dpkg --audit",
    "clock said": "journalctl --boot --no-pager --output=cat --unit=seedkit-clock.service",
    "observed": "ls /var/lib",
    "masked": "systemctl list-unit-files --state=masked --no-legend --plain | awk '{ print $1 }'",
    "timers": "systemctl list-timers --all --no-legend --plain | awk '{ print $(NF-1) }'",
    "forwarding": "sysctl -n net.ipv4.ip_forward net.bridge.bridge-nf-call-iptables",
    "modes": "stat --format='%a %U %n' /etc/rancher/k3s/*.yaml /etc/rancher/node/password",
    "registry CA": "openssl x509 -in /etc/rancher/k3s/registry-ca.crt -noout -fingerprint -sha256",
    "message of the day": "cat /etc/motd",
    "sshd": "sshd -T",
    "mounts": "findmnt --noheadings --output TARGET,SOURCE --types iso9660",
    "slowest units": "systemd-analyze blame --no-pager | head -20",
    "warnings": "journalctl --boot --no-pager --output=cat --priority=warning",
}

# A second boot leaves these alone, but for what says when the clock was looked at.
CLOCK = "/var/lib/seedkit/clock"
KEPT = ["/etc", "/usr/local", "/var/lib/dpkg", "/var/lib/seedkit", "/var/lib/rancher/k3s/agent/images", "/home", "/root"]


# On a busy machine an emulated systemd takes longer to answer than the 25 seconds that its clients give it.
os.environ["SYSTEMD_BUS_TIMEOUT"] = "600"


def ask(command):
    done = subprocess.run(command, shell=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return {"code": done.returncode, "output": done.stdout}


def is_settled():
    if ask("systemctl is-active seedkit-stage.service")["output"].strip() == "failed":
        return True
    if glob.glob("/var/lib/*-bootstrap.failed"):
        return True
    # It does its last after it has written the marker.
    bootstrap = ask(f"systemctl show --property=SubState --value {UNIT}-bootstrap.service")["output"].strip()
    return bootstrap == "exited" and ask("systemctl list-jobs --no-legend")["output"].strip() == ""


def settle():
    # It ends with 0, 1 or 2, all of which are answers.
    subprocess.run(["cloud-init", "status", "--wait"], stdout=subprocess.DEVNULL)
    while not is_settled():
        time.sleep(1)
    subprocess.run(["systemctl", "is-system-running", "--wait"], stdout=subprocess.DEVNULL)


def state(path):
    found = os.lstat(path)
    if os.path.islink(path):
        content = os.readlink(path)
    elif os.path.isfile(path):
        with open(path, "rb") as file:
            content = hashlib.sha256(file.read()).hexdigest()
    else:
        content = ""
    return f"{found.st_mode:o} {found.st_uid}:{found.st_gid} {found.st_mtime_ns} {content}"


def files():
    for top in KEPT + glob.glob("/var/lib/*-bootstrap.*"):
        if os.path.isfile(top):
            yield top, state(top)
        for folder, _, names in os.walk(top):
            for name in names:
                path = os.path.join(folder, name)
                if path != CLOCK:
                    yield path, state(path)


settle()
print(json.dumps({"answers": {name: ask(command) for name, command in QUESTIONS.items()}, "files": dict(files())}))
