#!/usr/bin/env bash
# Runs a real program in a sandbox of the running stack, through the public API, and checks what came out.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() { echo "usage: eng/first-sandbox.sh    runs a program in a new sandbox of the running stack and checks its result"; }
case ${1:-} in
  '') ;;
  -h | --help) usage; exit 0 ;;
  *) usage_error eng/first-sandbox.sh "unknown argument '$1'" ;;
esac

state_has "$secret_file" || fail "the stack has no secret yet ($secret_file)" "start it with ./up.sh"

# Python finds the primes, Node adds them up: two interpreters, a pipe and a file. There are 9592 primes below 100 000.
program='python3 - > primes.txt <<PY
n = 100_000
sieve = bytearray([1]) * n
sieve[0:2] = b"\0\0"
for i in range(2, int(n ** 0.5) + 1):
    if sieve[i]:
        sieve[i * i::i] = bytes(len(range(i * i, n, i)))
print("\n".join(str(i) for i in range(n) if sieve[i]))
PY
node -e "
const primes = require(\"fs\").readFileSync(\"primes.txt\", \"utf8\").trim().split(\"\n\").map(Number);
console.log(primes.length, primes.reduce((a, b) => a + b, 0));
"'
wanted='9592 454396537'

token=$(call "$(read_state "$secret_file")" POST "$api_url/internal/sessions" | jq -er .token)
sandbox=$(call "$token" POST "$api_url/v1/sandboxes" '{"template":"python-node","ttlMs":120000,"metadata":{"purpose":"first-sandbox"}}' | jq -er .sandbox.id)
remove() { call "$token" DELETE "$api_url/v1/sandboxes/$sandbox" > /dev/null || echo "sandbox $sandbox could not be removed; it ends by itself" >&2; }
trap remove EXIT
command=$(call "$token" POST "$api_url/v1/sandboxes/$sandbox/commands/run" "$(jq -cn --arg command "$program" '{ $command, timeoutMs: 60000 }')")
output=$(jq -r .command.stdout <<< "$command")
if [[ $output != "$wanted" ]]; then
  echo "expected '$wanted', and the sandbox said:"
  jq .command <<< "$command"
  exit 1
fi
echo "sandbox $sandbox: $output"
