"""Judges configurations by the schemas of cloud-init: python3 schema.py KIND FILE, KIND as cloud-init names schemas.

Prints the version, then a line for each error. netplan is another test's judge: where it is installed, cloud-init
leaves the network to it.
"""
import sys

import yaml
from cloudinit import version
from cloudinit.config import schema
from cloudinit.net import netplan

kind, file = sys.argv[1:]
schema.LIBNETPLAN_AVAILABLE = False
netplan.available = lambda: False
print(version.version_string().split("-")[0])
try:
    with open(file, encoding="utf-8") as source:
        schema.validate_cloudconfig_schema(yaml.safe_load(source), schema_type=schema.SchemaType(kind), strict=True)
except schema.SchemaValidationError as error:
    for problem in error.schema_errors:
        print(f"{problem.path}: {problem.message}")
