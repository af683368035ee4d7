#!/usr/bin/env bash
# Builds the .NET side; does nothing, quickly, when nothing has changed since.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

usage() {
  cat << 'USAGE'
usage: eng/build.sh [--solution] [--force]

Builds the AppHost and the processes that it starts (Release).

  --solution  the whole solution, tests included
  --force     also when nothing has changed
USAGE
}

target=CrowNest.AppHost/CrowNest.AppHost.csproj what=stack force=false
while (($# > 0)); do
  case $1 in
    --solution) target=CrowNest.sln what=solution ;;
    --force) force=true ;;
    -h | --help) usage; exit 0 ;;
    *) usage_error eng/build.sh "unknown argument '$1'" ;;
  esac
  shift
done

dotnet=$(command -v dotnet) || fail "the .NET SDK is missing" "eng/setup.sh says how to get it"
cd "$root"
stamp=artifacts/build-$what.stamp

# Everything that can change the outcome: sources, project files, rules, the SDK. Names count too: a deleted file is a change.
fingerprint() {
  {
    "$dotnet" --version
    find . -maxdepth 1 -type f \( -name '*.props' -o -name '*.targets' -o -name '*.sln' -o -name 'global.json' -o -name '.editorconfig' \
      -o -iname 'nuget.config' \) -print0 | sort -z | xargs -0 sha256sum
    find CrowNest.* eng tests bench -type d \( -name bin -o -name obj -o -name TestResults -o -name node_modules \) -prune -o -type f \
      ! -name '*.sh' ! -name '*.md' -print0 2> /dev/null | sort -z | xargs -0 sha256sum
  } | sha256sum
}
now=$(fingerprint)
# Who has built the solution has built the stack.
is_built() {
  local one
  for one in "$stamp" artifacts/build-solution.stamp; do
    if [[ -s $one && $(< "$one") == "$now" ]]; then return 0; fi
  done
  return 1
}
if ! $force && is_built && [[ -e artifacts/bin/CrowNest.AppHost/release/CrowNest.AppHost.dll ]]; then
  step_done "$what" "unchanged"
  exit 0
fi

# One compiler for all projects, of our own: one for each would be compiled anew by the runtime each time. It would outlive us and hold
# its memory, so it ends with the build.
compiler=crownest-$$
build() {
  local code=0
  "$dotnet" build "$target" --configuration Release --nologo -nodeReuse:false -p:UseSharedCompilation=true \
    -p:SharedCompilationId="$compiler" -p:UseRazorBuildServer=false -clp:NoSummary -v:minimal || code=$?
  stop_compiler
  return "$code"
}
stop_compiler() { pkill -f -- "-pipename:$compiler" || true; }
trap stop_compiler EXIT
step_hint="the compiler's messages are above and in the log"
step "$what (dotnet build)" build
mkdir -p artifacts
printf '%s\n' "$now" > "$stamp"
