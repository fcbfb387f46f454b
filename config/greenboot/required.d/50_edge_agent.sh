#!/bin/sh
# Fails a boot on which the agent is not ready in time, so that greenboot returns to the previous image.
# /etc/edge-agent/greenboot.conf sets what counts as ready, and within what time. The reason is printed to stderr.
set -u

NEED=ready
WITHIN_S=300
URL=http://127.0.0.1:8080
config=${EDGE_AGENT_GREENBOOT_CONF:-/etc/edge-agent/greenboot.conf}
if [ -r "$config" ]; then
    # shellcheck source=/dev/null
    . "$config"
fi
case $NEED in
ready) path=readyz ;;
live) path=healthz ;;
*)
    echo "edge-agent: NEED=$NEED in $config is neither ready nor live" >&2
    exit 1
    ;;
esac

show() {
    systemctl show --property="$1" --value edge-agent.service 2>/dev/null
}

# The health check over HTTP: 0 healthy, 1 not healthy, 2 no answer or no curl.
ask() {
    command -v curl >/dev/null || return 2
    code=$(curl --silent --output /dev/null --max-time 3 --write-out '%{http_code}' "$URL/$path") || return 2
    [ "$code" = 200 ]
}

well() {
    ask
    answer=$?
    case $NEED in
    ready) [ "$(show ActiveState)" = active ] && [ "$answer" != 1 ] ;;
    live) [ "$answer" = 0 ] ;;
    esac
}

if ! systemctl is-enabled --quiet edge-agent.service 2>/dev/null; then
    echo "edge-agent: the service is not enabled; nothing to check"
    exit 0
fi
waited=0
until well; do
    if [ "$(show ActiveState)" = failed ]; then
        echo "edge-agent: the service has failed ($(show Result), exit $(show ExecMainStatus)): $(show StatusText)" >&2
        exit 1
    fi
    if [ "$waited" -ge "$WITHIN_S" ]; then
        echo "edge-agent: not $NEED after $WITHIN_S s: $(show StatusText)" >&2
        exit 1
    fi
    sleep 1
    waited=$((waited + 1))
done
echo "edge-agent: $NEED after $waited s"
