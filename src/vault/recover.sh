#!/bin/sh
# Restores one repository from a Refward vault without Refward: needs age, tar, gzip, git and jq. See RECOVERY.md.
#   sh recover.sh KEY-FILE VAULT/repos/REPOSITORY-ID TARGET.git [SNAPSHOT]
set -eu
key=$1 repo=$2 target=$3 last=${4:-9999999999}
if [ -e "$target" ]; then echo "$target exists already" >&2; exit 1; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# FROM TO REWRITING NAME of every object; of those that begin at the same number, the one that counts comes first.
ls "$repo" | sed -n -e 's/^\([0-9]*\)\.tar\.gz\.age$/\1 \1 0 &/p' -e 's/^\([0-9]*\)-\([0-9]*\)\.\([0-9]*\)\.tar\.gz\.age$/\1 \2 \3 &/p' |
    sort -k 1,1n -k 2,2nr -k 3,3nr > "$work/objects"

next=1
while read -r from to _ name; do
    if [ "$from" -lt "$next" ]; then continue; fi # Another one stands for it.
    if [ "$next" -gt "$last" ]; then break; fi
    if [ "$from" -gt "$next" ]; then echo "snapshot $next is missing" >&2; exit 1; fi
    next=$(expr "$to" + 1)
    age -d -i "$key" -o "$work/snapshot.tar.gz" "$repo/$name"
    tar xzf "$work/snapshot.tar.gz" -C "$work"
    cat "$work/record.json" >> "$work/records"
    if [ ! -e "$target" ]; then
        git init --quiet --bare --object-format="$(jq -r .object_format "$work/record.json")" "$target"
    fi
    for pack in "$work"/pack-*.pack; do
        if [ ! -e "$pack" ]; then continue; fi
        home=$target/objects/pack/$(basename "$pack" .pack)
        mv "$pack" "$home.pack"
        if [ -e "${pack%.pack}.idx" ]; then mv "${pack%.pack}.idx" "$home.idx"; else git --git-dir="$target" index-pack "$home.pack" > "$work/log"; fi
    done
done < "$work/objects"

# Every recovery point up to the last, oldest first: a full list of references, or every change since the one before it.
jq -n --argjson last "$last" 'reduce (inputs | .span.points[]?.record, ., (.span | select(.after) | .after + {passing: .to})) as $step ({};
    if ($step.seq // $step.passing) > $last then . else
        (if $step.seq then .seq = $step.seq | .head = $step.head else . end) |
        (if $step.refs then .refs = $step.refs else reduce $step.changes[] as $c (.; if $c.new then .refs[$c.ref] = $c.new else del(.refs[$c.ref]) end) end)
    end)' "$work/records" > "$work/state"
seq=$(jq .seq "$work/state")
if [ $# -gt 3 ] && [ "$seq" != "$last" ]; then echo "snapshot $last was not kept: the one before it is $seq" >&2; exit 1; fi
jq -r '.refs // {} | to_entries[] | "create \(.key) \(.value)"' "$work/state" | git -C "$target" update-ref --stdin
case $(jq -r '.head | keys[]?' "$work/state") in
    symbolic) git -C "$target" symbolic-ref HEAD "$(jq -r .head.symbolic "$work/state")" ;;
    detached) git -C "$target" update-ref --no-deref HEAD "$(jq -r .head.detached "$work/state")" ;;
esac
git -C "$target" fsck --full
