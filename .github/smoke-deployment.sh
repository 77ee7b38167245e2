#!/usr/bin/env bash
# Health, then one flow of the host app to its end, on the deployment that CONVEX_DEPLOY_KEY is for. The flow asks no model.
# Every call is one that an operator can make by hand; see docs/operators.md.
set -euo pipefail

component() { npx convex run --component shardflow "$@"; }
# A part of the JSON on standard input.
part() { node -p "JSON.parse(require('node:fs').readFileSync(0, 'utf8'))$1"; }

health=$(component health:check '{}')
echo "$health"
[[ $(part .ok <<<"$health") == true ]]

npx convex run setup:publishFlows '{"team": "smoke"}'
start='{"definition": "enrich-list", "scope": "smoke", "input": "{\"domains\": [\"example.com\"]}"}'
execution=$(component executions:startWorkflow "$start" | part "")

for _ in $(seq "${SMOKE_POLLS:-60}"); do
  state=$(component history:getStatus "{\"executionId\": \"$execution\"}")
  status=$(part .status <<<"$state")
  if [[ $status =~ ^(succeeded|failed|canceled)$ ]]; then
    echo "$state"
    [[ $status == succeeded ]]
    exit
  fi
  sleep "${SMOKE_PAUSE:-2}"
done
echo "The flow has not ended: $state" >&2
exit 1
