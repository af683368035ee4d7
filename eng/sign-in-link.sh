#!/usr/bin/env bash
# Prints a link that signs in to the dashboard of the running stack, once.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() { echo "usage: eng/sign-in-link.sh    prints a new one-time sign-in link of the running stack's dashboard"; }
case ${1:-} in
  '') ;;
  -h | --help) usage; exit 0 ;;
  *) usage_error eng/sign-in-link.sh "unknown argument '$1'" ;;
esac

[[ -n $(apphost_pids) ]] || fail "no stack runs on $state_directory" "start it with ./up.sh"
state_has "$secret_file" || fail "the stack has no secret yet ($secret_file)" "wait until ./up.sh says that it is ready"
answer=$(call "$(read_state "$secret_file")" POST "$api_url/internal/sign-in-links") \
  || fail "the API gave no link" "is it healthy? curl $api_url/healthz" "its log: $log_directory/api.log"
jq -er .url <<< "$answer"
