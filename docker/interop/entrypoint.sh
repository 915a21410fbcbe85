#!/bin/sh
# Sets the routes that the unified harness leaves to its images, then runs what was asked for.
set -eu
[ -z "${WAN_SUBNET:-}" ] || ip route add "$WAN_SUBNET" via "$WAN_ROUTER_IP" dev lan0
[ -z "${DIALER_LAN_SUBNET:-}" ] || ip route add "$DIALER_LAN_SUBNET" via "$DIALER_ROUTER_IP" dev wan0
[ -z "${LISTENER_LAN_SUBNET:-}" ] || ip route add "$LISTENER_LAN_SUBNET" via "$LISTENER_ROUTER_IP" dev wan0
exec "$@"
