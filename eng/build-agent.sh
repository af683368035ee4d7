#!/usr/bin/env bash
# Builds what runs inside every sandbox: artifacts/agent/crownest-agent (NativeAOT) and artifacts/agent/crownest-launch (static C).
# A second run with unchanged sources does nothing. --force builds anyway.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

project=CrowNest.Agent/CrowNest.Agent.csproj
launcher=CrowNest.Agent/native/crownest-launch.c
sha256=CrowNest.Agent/native/crownest-sha256.c
out=artifacts/agent
case $(uname -m) in
  x86_64) rid=linux-x64 ;;
  aarch64 | arm64) rid=linux-arm64 ;;
  *) echo "build-agent: no agent for $(uname -m): x86_64 and aarch64 are supported" >&2; exit 1 ;;
esac

force=false
for word in "$@"; do
  case $word in
    --force) force=true ;;
    *) echo "usage: eng/build-agent.sh [--force]" >&2; exit 2 ;;
  esac
done

# Everything that decides what comes out: sources, build rules, this script, the tools' versions.
launcher_hash() { { sha256sum "$launcher" eng/build-agent.sh; echo "${compiler[0]}"; } | sha256sum | cut -d' ' -f1; }
agent_hash() {
  {
    find CrowNest.Agent -type f \( -name '*.cs' -o -name '*.csproj' \) \
      -not -path '*/obj/*' -not -path '*/bin/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    sha256sum Directory.Build.props global.json .editorconfig eng/build-agent.sh "$sha256"
    echo "$rid $(dotnet --version)"
  } | sha256sum | cut -d' ' -f1
}

# current NAME HASH: whether what NAME was built from is what is there now.
current() { ! $force && [[ -x $out/$1 && $(cat "$out/.$1.sources" 2> /dev/null) == "$2" ]]; }

# install_binary FILE NAME HASH: renamed into place, so that a running sandbox keeps the file it has mapped, and nobody sees half a binary.
install_binary() {
  chmod 755 "$1"
  rm -f "$out/.$2.sources"
  mv -f "$1" "$out/$2"
  echo "$3" > "$out/.$2.sources"
  stat -c '%n %s bytes' "$out/$2"
}

missing=()
command -v dotnet > /dev/null || { echo "build-agent: the .NET 10 SDK is missing" >&2; exit 1; }
command -v clang > /dev/null || command -v gcc > /dev/null || missing+=(clang)
[[ -e /usr/include/zlib.h ]] || missing+=(zlib1g-dev)
compiler=()
if command -v musl-gcc > /dev/null; then
  compiler=(musl-gcc)
elif command -v gcc > /dev/null; then
  compiler=(gcc)
else
  missing+=(gcc libc6-dev)
fi
if ((${#missing[@]})); then
  echo "build-agent: missing ${missing[*]}" >&2
  echo "  → apt-get install -y ${missing[*]}" >&2
  exit 1
fi

mkdir -p "$out"
exec 9> "$out/.lock"
flock 9 # tests and up.sh may ask at the same time

launcher_now=$(launcher_hash)
agent_now=$(agent_hash)
if current crownest-launch "$launcher_now" && current crownest-agent "$agent_now"; then
  echo "agent and launcher are up to date"
  exit 0
fi

work=$(mktemp -d "$out/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT

if ! current crownest-launch "$launcher_now"; then
  echo "compiling the launcher with ${compiler[0]}"
  "${compiler[@]}" -static -std=c11 -Os -s -Wall -Wextra -Werror -fstack-protector-strong -o "$work/launch" "$launcher"
  install_binary "$work/launch" crownest-launch "$launcher_now"
fi

if ! current crownest-agent "$agent_now"; then
  echo "publishing the agent for $rid (NativeAOT, about a minute)"
  tool=()
  cc=clang
  command -v clang > /dev/null || { cc=gcc; tool=(-p:CppCompilerAndLinker=gcc); }
  "$cc" -c -std=gnu11 -O2 -fPIC -Wall -Wextra -Werror -fstack-protector-strong -o "$work/sha256.o" "$sha256"
  # The lock is not for the compiler server that this may leave running.
  dotnet publish "$project" -c Release -r "$rid" -o "$work/publish" -v q --nologo -clp:NoSummary \
    "-p:Sha256Object=$PWD/$work/sha256.o" "${tool[@]}" 9>&-
  install_binary "$work/publish/crownest-agent" crownest-agent "$agent_now"
fi
