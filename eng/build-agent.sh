#!/usr/bin/env bash
# Builds what runs inside every sandbox: artifacts/agent/crownest-agent (NativeAOT) and artifacts/agent/crownest-launch (static C).
# A second run with unchanged sources does nothing. --force builds anyway.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

project=CrowNest.Agent/CrowNest.Agent.csproj
launcher=CrowNest.Agent/native/crownest-launch.c
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
sources_hash() {
  {
    find CrowNest.Agent -type f \( -name '*.cs' -o -name '*.csproj' -o -name '*.c' \) \
      -not -path '*/obj/*' -not -path '*/bin/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
    sha256sum Directory.Build.props global.json .editorconfig eng/build-agent.sh
    echo "$rid $1"
  } | sha256sum | cut -d' ' -f1
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

hash=$(sources_hash "${compiler[0]} $(dotnet --version)")
if ! $force && [[ -x $out/crownest-agent && -x $out/crownest-launch && $(cat "$out/.sources" 2> /dev/null) == "$hash" ]]; then
  echo "agent and launcher are up to date"
  exit 0
fi

mkdir -p "$out"
work=$(mktemp -d "$out/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT

echo "compiling the launcher with ${compiler[0]}"
"${compiler[@]}" -static -std=c11 -Os -s -Wall -Wextra -Werror -fstack-protector-strong -o "$work/crownest-launch" "$launcher"

echo "publishing the agent for $rid (NativeAOT, about a minute)"
tool=()
command -v clang > /dev/null || tool=(-p:CppCompilerAndLinker=gcc)
dotnet publish "$project" -c Release -r "$rid" -o "$work/publish" -v q --nologo -clp:NoSummary "${tool[@]}"

# Renamed into place: a running sandbox keeps the file it has mapped, and nobody ever sees half a binary.
rm -f "$out/.sources"
mv -f "$work/crownest-launch" "$out/crownest-launch"
mv -f "$work/publish/crownest-agent" "$out/crownest-agent"
chmod 755 "$out/crownest-launch" "$out/crownest-agent"
echo "$hash" > "$out/.sources"
stat -c '%n %s bytes' "$out/crownest-agent" "$out/crownest-launch"
