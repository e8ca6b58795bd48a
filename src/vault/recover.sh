#!/bin/sh
# Restores one repository from a Refward vault without Refward: needs age, tar, gzip, git and jq. See RECOVERY.md.
#   sh recover.sh KEY-FILE VAULT/repos/REPOSITORY-ID TARGET.git [LAST-SNAPSHOT]
set -eu
key=$1 repo=$2 target=$3 last=${4:-9999999999}
if [ -e "$target" ]; then echo "$target exists already" >&2; exit 1; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

seq=0
for object in "$repo"/*.tar.gz.age; do
    number=$(basename "$object" .tar.gz.age | sed 's/^0*//')
    if [ "$seq" -eq "$last" ]; then break; fi
    seq=$((seq + 1))
    if [ "$number" != "$seq" ]; then echo "snapshot $seq is missing" >&2; exit 1; fi
    age -d -i "$key" -o "$work/snapshot.tar.gz" "$object"
    tar xzf "$work/snapshot.tar.gz" -C "$work"
    record=$work/$seq.record
    mv "$work/record.json" "$record"
    echo "$record" >> "$work/records"
    if [ ! -e "$target" ]; then
        git init --quiet --bare --object-format="$(jq -r .object_format "$record")" "$target"
    fi
    for pack in "$work"/pack-*.pack; do
        if [ ! -e "$pack" ]; then continue; fi
        to=$target/objects/pack/$(basename "$pack" .pack)
        mv "$pack" "$to.pack"
        if [ -e "${pack%.pack}.idx" ]; then mv "${pack%.pack}.idx" "$to.idx"; else git --git-dir="$target" index-pack "$to.pack" > "$work/log"; fi
    done
done

# Every reference: the newest full list, if there is one, and every change since.
xargs cat < "$work/records" | jq -n 'reduce inputs as $record ({}; if $record.refs then $record.refs else
    reduce $record.changes[] as $c (.; if $c.new then .[$c.ref] = $c.new else del(.[$c.ref]) end) end)' > "$work/refs"
jq -r 'to_entries[] | "create \(.key) \(.value)"' "$work/refs" | git -C "$target" update-ref --stdin
case $(jq -r '.head | keys[]?' "$record") in
    symbolic) git -C "$target" symbolic-ref HEAD "$(jq -r .head.symbolic "$record")" ;;
    detached) git -C "$target" update-ref --no-deref HEAD "$(jq -r .head.detached "$record")" ;;
esac
git -C "$target" fsck --full
