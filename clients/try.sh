#!/usr/bin/env bash
# Sees that the generated parts are current, checks the types of the clients, and uses them against running services.
# Needs VOTE, RESULT, OPERATOR (addresses without a slash at the end) and TOKEN. Exit code 77: the tools cannot be had here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools="$here/../target/clients"
made="$tools/made"

rm -rf "$made"
"$here/generate" "$made"
for part in python/src/voting_client/_generated typescript/src/generated; do
    if ! diff -r --exclude=__pycache__ "$here/$part" "$made/$part" >&2; then
        echo "$part is not current: run clients/generate" >&2
        exit 1
    fi
done

echo "== Python"
"$tools/venv/bin/mypy" --config-file "$here/python/pyproject.toml" --cache-dir "$tools/mypy" "$here/python/src"
rm -rf "$tools/wheel"
"$tools/venv/bin/pip" wheel --quiet --no-deps --no-build-isolation --wheel-dir "$tools/wheel" "$here/python"
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$here/python/src" "$tools/venv/bin/python" -m unittest discover "$here/python/tests"

echo "== TypeScript"
# Beside the tools, so that nothing is built in the source tree.
cp -r "$here/typescript/"{src,tests,examples,tsconfig.json,README.md} "$tools/typescript/"
cd "$tools/typescript"
node_modules/.bin/tsc -p tsconfig.json
node --test tests/webhook.mjs tests/against_server.mjs
npm pack --dry-run --ignore-scripts --silent >/dev/null
