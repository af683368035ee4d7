#!/usr/bin/env bash
# Writes a migration for what changed in CrowNest.Platform/Data, or with --check fails when the model has changes without one.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { echo "usage: eng/add-migration.sh NAME | --check" >&2; exit 2; }
[ $# -eq 1 ] || usage

tools=artifacts/tools
[ -x "$tools/dotnet-ef" ] || dotnet tool install dotnet-ef --version 10.0.15 --tool-path "$tools" >&2
dotnet build eng/migrations -c Release -v q --nologo >&2
common=(--project CrowNest.Platform --startup-project eng/migrations --configuration Release --no-build)
export DOTNET_ROLL_FORWARD=Major
if [ "$1" = --check ]; then
  "$tools/dotnet-ef" migrations has-pending-model-changes "${common[@]}"
else
  "$tools/dotnet-ef" migrations add "$1" --output-dir Database/Migrations "${common[@]}"
fi
