"""Reads a seed with cloud-init's own NoCloud source and prints what the node would get.

usage: nocloud.py WORK SEED; SEED is a folder, or an ISO image, which is found through blkid as a disc is.
"""
import json
import os
import subprocess
import sys

from cloudinit import helpers, util
from cloudinit.net import eni, netplan, network_state, networkd
from cloudinit.sources import DataSourceNoCloud
from cloudinit.stages import Init

work, seed = sys.argv[1:]
paths = helpers.Paths({"cloud_dir": work + "/cloud", "run_dir": work + "/run"})
source = DataSourceNoCloud.DataSourceNoCloud({}, None, paths)
if os.path.isdir(seed):
    source.seed_dirs = [seed]
    util.find_devs_with = lambda criteria: []
else:
    probed = subprocess.run(["blkid", "-p", "-o", "export", seed], check=True, capture_output=True, text=True)

    def find_devs_with(criteria):
        return [seed] if criteria in probed.stdout.splitlines() else []

    def mount_cb(device, callback, data=None, **_):
        # The kernel of a test machine may have no isofs: xorriso reads the image instead.
        folder = work + "/disc"
        command = ["xorriso", "-osirrox", "on", "-indev", device, "-extract", "/", folder]
        subprocess.run(command, check=True, capture_output=True)
        return callback(folder, data)

    util.find_devs_with, util.mount_cb = find_devs_with, mount_cb

assert source.get_data(), "NoCloud finds no seed"
rendered = {}
for renderer in (netplan, networkd, eni):
    state = network_state.parse_net_config_data(source.network_config, renderer=renderer.Renderer({}))
    target = work + "/" + renderer.__name__.rsplit(".", 1)[1]
    os.makedirs(target)
    renderer.Renderer({}).render_network_state(state, target=target)
user_data = source.get_userdata()
print(json.dumps({
    "found": source.seed,
    "instance-id": source.get_instance_id(),
    "hostname": source.get_hostname(metadata_only=True).hostname,
    "types": [part.get_content_type() for part in user_data.walk() if not part.is_multipart()],
    "user-data": util.load_yaml(source.userdata_raw),
}))
