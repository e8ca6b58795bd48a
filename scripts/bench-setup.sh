#!/usr/bin/env bash
# Installs the peers that the benchmarks compare with and that are not there yet: git and restic from Debian, Probot from npm.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A package_of=([git]=git [restic]=restic [node]=nodejs [npm]=npm)
missing=()
for program in "${!package_of[@]}"; do
  command -v "$program" >/dev/null || missing+=("${package_of[$program]}")
done
if ((${#missing[@]})); then
  as_root=(); ((EUID == 0)) || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if [[ ! -d .test-tools/node_modules/probot ]]; then
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix .test-tools probot@14.3.2
fi
