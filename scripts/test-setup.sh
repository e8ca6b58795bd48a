#!/usr/bin/env bash
# Installs what the tests need and is not there yet: Debian packages, and GitHub's example payloads from npm.
set -euo pipefail
cd "$(dirname "$0")/.."

declare -A package_of=(
  [git]=git [age]=age [jq]=jq [strace]=strace [npm]=npm [xxd]=xxd [openssl]=openssl [python3]=python3 [gzip]=gzip [tar]=tar
)
missing=()
for program in "${!package_of[@]}"; do
  command -v "$program" >/dev/null || missing+=("${package_of[$program]}")
done
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
if ((${#missing[@]})); then
  as_root=(); ((EUID == 0)) || as_root=(sudo)
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if [[ ! -d .test-tools/node_modules/@octokit/webhooks-examples ]]; then
  mkdir -p .test-tools
  [[ -f .test-tools/package.json ]] || echo '{"private":true}' > .test-tools/package.json
  npm install --silent --no-audit --no-fund --ignore-scripts --prefix .test-tools @octokit/webhooks-examples@7.6.1
fi
