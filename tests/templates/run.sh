#!/usr/bin/env bash
# Every template image in a container as strict as a sandbox: no network, read-only, no capabilities, our seccomp profile,
# one of the sandbox uids. Needs the images (eng/images.sh). Ends with "N passed, N failed".
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/../../eng/lib.sh"

here=$root/tests/templates
profile=$root/CrowNest.Worker/Runtime/seccomp.json
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
for slug in "${slugs[@]}"; do
  sandbox "crownest/$slug:latest" bash -s "$slug" < "$here/inside.sh"
  sandbox "crownest/$slug:latest" /opt/crownest/probe | sed "s/^\(ok\|not ok\) /\1 $slug: /"
done | tee "$folder/results"

passed=$(grep -c '^ok ' "$folder/results" || true)
failed=$(grep -c '^not ok ' "$folder/results" || true)
echo "$passed passed, $failed failed"
((failed == 0 && passed > 0))
