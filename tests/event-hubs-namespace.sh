#!/usr/bin/env bash
# Runs the contract suite of transports in a real namespace of Azure Event Hubs, fact by fact, each in a hub that is made for
# it and removed after it.
#
#   LOCKGATE_NAMESPACE='Endpoint=sb://NAME.servicebus.windows.net/;SharedAccessKeyName=…;SharedAccessKey=…' \
#   RESOURCE_GROUP=acme tests/event-hubs-namespace.sh [FACT …]
#
# The key needs the rights Listen and Send. Hubs are made by `az`, which has to be signed in; the namespace has to be of the
# Standard tier at least, for a hub gets three consumer groups. Nothing else may use it meanwhile.
#
# To try the script itself, an emulator takes the namespace's place: CONTROL is the URL of its control, SSL_CERT_FILE its
# authority.
#
# Left out is what cannot be done to the service from outside: to make reading fail for a while, and to let go of events
# before their time.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${LOCKGATE_NAMESPACE:?set it to the connection string of the namespace}"
suite=transport::event_hubs::event_hubs_namespace
left_out='a_source_that_fails_comes_back|what_is_gone_is_passed_for_good|what_is_settled_above_what_is_gone_stays_settled|what_goes_while_it_waits_to_be_read_is_passed'
groups=(g one other)
name=$(sed -E 's#.*Endpoint=sb://([^./;:]+).*#\1#' <<<"$LOCKGATE_NAMESPACE")

at() {
  az eventhubs eventhub "$@" --resource-group "${RESOURCE_GROUP:?set it to the resource group of the namespace}" \
    --namespace-name "$name" --only-show-errors --output none
}

make() {
  local hub=$1 group
  if [ -n "${CONTROL:-}" ]; then
    curl --silent --fail --output /dev/null -X POST "$CONTROL/hubs/$hub" \
      -d "{ \"partitions\": 4, \"groups\": [$(printf '"%s",' "${groups[@]}" | sed 's/,$//')] }"
    return
  fi
  at create --name "$hub" --partition-count 4
  for group in "${groups[@]}"; do
    at consumer-group create --eventhub-name "$hub" --name "$group"
  done
}

unmake() {
  if [ -z "${CONTROL:-}" ]; then at delete --name "$1"; fi
}

# As the tests are built anyway.
tests=$(cargo test --workspace --lib --no-run 2>&1 |
  sed -nE 's#.*Executable unittests src/lib.rs \((.*/lockgate-[0-9a-f]+)\)#\1#p')
facts=("$@")
if [ ${#facts[@]} -eq 0 ]; then
  mapfile -t facts < <("$tests" --ignored --list "$suite" |
    sed -n "s/^$suite::\(.*\): test\$/\1/p" | grep -vE "^($left_out)\$")
fi
failed=()
for fact in "${facts[@]}"; do
  hub="lockgate-$(date +%s)-$RANDOM"
  make "$hub"
  LOCKGATE_NAMESPACE_HUB=$hub "$tests" --ignored --exact "$suite::$fact" || failed+=("$fact")
  unmake "$hub"
done
echo "${#facts[@]} facts, of which ${#failed[@]} failed: ${failed[*]-}"
[ ${#failed[@]} -eq 0 ]
