#!/usr/bin/env bash
# Makes docs/report.png and docs/report-dark.png: builds the lab, and opens its page in Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cargo run --quiet --locked -- --quiet --secrets "$scratch/secrets" --cache-dir "$scratch/store" \
  build -f fixtures/lab/seedkit.yaml -o "$scratch/kit" >/dev/null
page="file://$scratch/kit/report.html"
HOME=$scratch python3 tests/it/support/browser.py chromium "$scratch/profile" "$page" >/dev/null <<'END'
{
  "steps": [
    { "view": { "width": 1100 } },
    { "picture": { "file": "docs/report.png", "length": 1500 } },
    { "view": { "width": 1100, "isDark": true } },
    { "picture": { "file": "docs/report-dark.png", "selector": "section[aria-labelledby=certificate]" } }
  ]
}
END
