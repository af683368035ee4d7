#!/usr/bin/env bash
# Every template image in a container as strict as a sandbox: no network, read-only, no capabilities, our seccomp profile,
# one of the sandbox uids. Needs the images (eng/images.sh). Ends with "N passed, N failed".
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../eng/lib.sh"

here=$root/tests/templates
profile=$root/CrowNest.Worker/Containers/seccomp.json
label="crownest.test=templates-$$"
folder=$(mktemp -d)
cleanup() {
  local left
  left=$(engine ps -aq --filter "label=$label")
  # shellcheck disable=SC2086 # one word per container
  [[ -z $left ]] || engine rm -f $left > /dev/null
  rm -rf "$folder"
}
trap cleanup EXIT

gcc -static -O2 -Wall -Werror -o "$folder/probe" "$here/probe.c"
chmod 755 "$folder" "$folder/probe"

sandbox() {
  engine run --rm --interactive --label "$label" --network none --read-only --cap-drop ALL \
    --security-opt no-new-privileges --security-opt "seccomp=$profile" --user 700005:700005 --pids-limit 256 --memory 512m \
    --tmpfs /tmp:exec,size=64m,mode=1777 --tmpfs /workspace:exec,size=256m,uid=700005,gid=700005 \
    --tmpfs /home/sandbox:exec,size=128m,uid=700005,gid=700005 --volume "$folder/probe:/opt/crownest/probe:ro" "$@"
}

slugs=("$@")
((${#slugs[@]} > 0)) || slugs=(base python node python-node)
check_image() {
  sandbox "crownest/$1:latest" bash -s "$1" < "$here/inside.sh"
  sandbox "crownest/$1:latest" /opt/crownest/probe | sed "s/^\(ok\|not ok\) /\1 $1: /"
}

# All at once, each into a file of its own: their programs mostly wait for each other.
checks=()
for slug in "${slugs[@]}"; do
  check_image "$slug" > "$folder/$slug" & checks+=($!)
done
died=0
for check in "${checks[@]}"; do wait "$check" || died=$((died + 1)); done
for slug in "${slugs[@]}"; do cat "$folder/$slug"; done | tee "$folder/results"

passed=$(grep -c '^ok ' "$folder/results" || true)
failed=$(grep -c '^not ok ' "$folder/results" || true)
# A container that ended early has not said what else it would have found.
failed=$((failed + died))
echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
