#!/usr/bin/env bash
# Generates clients from the OpenAPI documents of running services, uses them, checks the documents with a linter and
# the services with schemathesis.
# Needs VOTE, RESULT, OPERATOR (addresses without a slash at the end), TOKEN, and WORK, a folder that is kept: the tools are
# installed there once.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$WORK"
cd "$WORK"

# Tools. Exit code 77: they cannot be had here.
if ! cmp -s "$here/requirements.txt" requirements.txt; then
    { python3 -m venv venv && venv/bin/pip install --quiet -r "$here/requirements.txt"; } >&2 || exit 77
    cp "$here/requirements.txt" requirements.txt
fi
if ! cmp -s "$here/package.json" package.json || [ ! -e node_modules/.installed ]; then
    cp "$here/package.json" package.json
    npm install --silent --no-audit --no-fund --no-package-lock >&2 || exit 77
    touch node_modules/.installed
fi

for service in "vote $VOTE" "result $RESULT" "operator $OPERATOR"; do
    read -r name address <<<"$service"
    curl -sSf "$address/openapi.json" >"$name.json"
done

echo "== linter"
# The rules are those that the tool recommends, warnings included.
for name in vote result operator; do
    if ! node_modules/.bin/redocly lint --max-problems 20 "$name.json" >"$name.lint" 2>&1 || grep -q warning "$name.lint"; then
        cat "$name.lint"
        exit 1
    fi
done

echo "== Python"
for name in vote result operator; do
    venv/bin/openapi-python-client generate --path "$name.json" --meta none --output-path "python/${name}_client" \
        --overwrite --config "$here/python-client.yaml" --fail-on-warning
done
PYTHONPATH=python venv/bin/python "$here/votes.py"

echo "== TypeScript"
mkdir -p typescript
for name in vote result operator; do
    node_modules/.bin/openapi-typescript "$name.json" -o "typescript/$name.ts" >/dev/null
done
cp "$here/votes.ts" typescript/
node_modules/.bin/tsc --strict --target es2022 --module nodenext --moduleResolution nodenext --skipLibCheck \
    --lib es2022,dom,dom.iterable --outDir typescript/out typescript/votes.ts
node typescript/out/votes.js

echo "== schemathesis"
for service in "vote $VOTE" "result $RESULT" "operator $OPERATOR"; do
    read -r name address <<<"$service"
    # An address is answered with 429 after 20 wrong tokens. That each operation needs a token is tested in
    # voting-http/tests/tokens.rs.
    without=()
    [ "$name" != operator ] || without=(--exclude-checks ignored_auth)
    # The same cases each time; another seed finds others.
    venv/bin/schemathesis --config-file "$here/schemathesis.toml" run "$address/openapi.json" --checks all "${without[@]}" \
        --max-examples 20 \
        --seed "${SEED:-1}" --request-timeout 10 --header "Authorization: Bearer $TOKEN" >"$name.cases" 2>&1 || {
        cat "$name.cases"
        exit 1
    }
done
