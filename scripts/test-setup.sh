#!/usr/bin/env bash
# Installs what the tests need and is not there yet: Debian packages, and from npm GitHub's example payloads and its
# descriptions of the REST and GraphQL APIs.
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

# From a package of 29 MB, two files.
if [[ ! -f .test-tools/openapi/api.github.com.json ]]; then
  mkdir -p .test-tools/openapi
  scratch=$(mktemp -d -p .test-tools)
  trap 'rm -rf "$scratch"' EXIT
  npm pack --silent --pack-destination "$scratch" @octokit/openapi@23.0.2 @octokit/graphql-schema@15.26.1 >/dev/null
  tar -xzf "$scratch"/octokit-graphql-schema-*.tgz -C .test-tools/openapi --strip-components=1 package/schema.graphql
  # The one that is looked for above comes last.
  tar -xzf "$scratch"/octokit-openapi-*.tgz -C "$scratch" package/generated/ghes-3.19.json package/generated/api.github.com.json
  mv "$scratch"/package/generated/ghes-3.19.json .test-tools/openapi/
  mv "$scratch"/package/generated/api.github.com.json .test-tools/openapi/
fi
