#!/usr/bin/env bash
# All tests, on a fresh machine too.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/test-setup.sh
exec cargo test --workspace --locked "$@"
