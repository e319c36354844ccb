#!/usr/bin/env bash
# test-dotnet.sh: builds the .NET package and runs the tests of its async form, against the library that
# `make install PREFIX=$PREFIX` has installed. Needs the .NET SDK 8; without it the exit code is 2.
set -euo pipefail
cd "$(dirname "$0")"
command -v dotnet >/dev/null || { echo "test-dotnet.sh: there is no dotnet here; nothing was tested" >&2; exit 2; }
: "${PREFIX:?say where helio is installed: PREFIX=/usr/local $0}"
export LD_LIBRARY_PATH=$PREFIX/lib DYLD_LIBRARY_PATH=$PREFIX/lib
dotnet build Helio.csproj
dotnet test tests/dotnet/Helio.Tests.csproj
