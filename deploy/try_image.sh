#!/usr/bin/env bash
# Builds the server's image and tries it as a user would: deploy/try_image.sh [BUILD OPTION ...]
#
# It runs as the compose file runs it: read-only, without capabilities, not as root. A client
# outside streams from the server inside; then SIGTERM must drain it.
#
#   ENGINE      docker or podman; the first that is installed
#   IMAGE       the tag; stepwire:latest
#   BASE_IMAGE  what to build on; python:3.11-slim
#   NO_BUILD    set: try the image that is there
#   BUNDLES     a folder of bundles to serve instead of the zoo in the image
#   NETWORK     set to `host` where containers have no network of their own
#   STEPWIRE    the client's command; .venv/bin/stepwire
set -euo pipefail
cd "$(dirname "$0")/.."

export ENGINE=${ENGINE:-$(command -v docker || command -v podman)}
export IMAGE=${IMAGE:-stepwire:latest}
STEPWIRE=${STEPWIRE:-.venv/bin/stepwire}
name=stepwire-trial-$$
work=$(mktemp -d)

say() { printf '%-12s %s\n' "$1" "$2"; }
fail() {
    printf 'FAILED: %s\n' "$1" >&2
    "$ENGINE" logs "$name" 2>&1 | tail -n 20 >&2 || true
    exit 1
}
clean_up() {
    "$ENGINE" rm --force "$name" >"$work/rm" 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT
inside() { "$ENGINE" exec "$name" "$@"; }

# Both ports are published on loopback alone, wherever there is room.
start() {
    local options=(
        --detach --name "$name" --read-only --tmpfs /tmp
        --cap-drop ALL --security-opt no-new-privileges
    )
    if [ "${NETWORK:-}" = host ]; then
        options+=(
            --network host
            --env STEPWIRE_GRPC_ADDRESS=127.0.0.1 --env STEPWIRE_GRPC_PORT=18001
            --env STEPWIRE_METRICS_ADDRESS=127.0.0.1 --env STEPWIRE_METRICS_PORT=18002
        )
    else
        options+=(--publish 127.0.0.1::8001 --publish 127.0.0.1::8002)
    fi
    if [ -n "${BUNDLES:-}" ]; then
        options+=(--volume "$(realpath "$BUNDLES"):/models:ro")
    fi
    "$ENGINE" run "${options[@]}" "$IMAGE" >"$work/id"
}

address_of() {
    if [ "${NETWORK:-}" = host ]; then
        echo "127.0.0.1:1$1"
    else
        "$ENGINE" port "$name" "$1/tcp" | head -n 1
    fi
}

# The check that the image declares, rather than the engine's timer, which may not run.
wait_until_healthy() {
    local began=$SECONDS
    until inside python /opt/stepwire/healthcheck.py >"$work/health" 2>&1; do
        [ "$("$ENGINE" inspect --format '{{.State.Running}}' "$name")" = true ] || fail "it ended"
        [ $((SECONDS - began)) -lt 120 ] || fail "not healthy: $(cat "$work/health")"
        sleep 0.5
    done
}

# The name of the first model that is ready for a task.
model_for() {
    "$STEPWIRE" models --json | python3 -c "
import json, sys
models = [json.loads(line) for line in sys.stdin]
print(next((m['name'] for m in models if m['task'] == '$1' and m['state'] == 'ready'), ''))"
}

generate() {
    local model text
    model=$(model_for generation)
    [ -n "$model" ] || fail "no model for generation is ready"
    text=$("$STEPWIRE" generate "$model" --prompt 'the ' --max-tokens 40 --seed 1 --json)
    [ -n "$text" ] || fail "$model generated nothing"
    say generate "$model: ${text:0:110}..."
}

classify() {
    local model
    model=$(model_for classification)
    if [ -z "$model" ]; then
        say classify "no model for it is served"
        return
    fi
    say classify "$model: $("$STEPWIRE" classify "$model" 'good' --json)"
}

metrics() {
    python3 -c 'import sys, urllib.request as r; print(r.urlopen(sys.argv[1], timeout=5).read().decode())' \
        "http://$(address_of 8002)/metrics"
}

# A call is under way when the signal comes: it must end whole, and the server must say so.
drain() {
    local model most call code
    model=$(model_for generation)
    most=$("$STEPWIRE" show "$model" --json |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["limits"]["max_new_tokens"])')
    local long=(
        "$STEPWIRE" generate "$model" --prompt 'the ' --max-tokens "$most"
        --n 32 --temperature 1 --seed 1 --json
    )
    "${long[@]}" >"$work/undisturbed"
    "${long[@]}" >"$work/drained" 2>"$work/errors" &
    call=$!
    until metrics | grep -q '^stepwire_slots_in_use{model="'"$model"'.*} [1-9]'; do
        kill -0 "$call" || fail "the call ended at once: $(cat "$work/errors")"
    done
    "$ENGINE" kill --signal TERM "$name" >"$work/kill"
    cmp --silent "$work/undisturbed" "$work/drained" && fail "the signal came too late to try it"
    wait "$call" || fail "the running call was cut: $(cat "$work/errors")"
    same_texts "$work/undisturbed" "$work/drained" || fail "the running call ended early"
    code=$("$ENGINE" wait "$name")
    [ "$code" = 0 ] || fail "exit status $code after SIGTERM"
    say drain "SIGTERM: a running call of 32 x $most tokens ended whole, exit status 0"
}

# The same texts, whatever time each took.
same_texts() {
    python3 - "$@" <<'CODE'
import json, sys
first, second = ([json.loads(line)["text"] for line in open(name)] for name in sys.argv[1:])
sys.exit(first != second)
CODE
}

# Whoever collects the log reads one JSON object a line, to the last.
check_log() {
    "$ENGINE" logs "$name" >"$work/log" 2>&1
    python3 - "$work/log" <<'CODE' || fail "its log is not JSON, or its end is missing"
import json, sys
events = [json.loads(line)["event"] for line in open(sys.argv[1])]
sys.exit(events[-1] != "stopped")
CODE
    say log "$(wc -l <"$work/log") lines of JSON, the last says that it stopped"
}

if [ -z "${NO_BUILD:-}" ]; then
    deploy/build_image.sh "$@"
fi
size=$("$ENGINE" image inspect --format '{{.Size}}' "$IMAGE")
say image "$IMAGE, $((size / 1000000)) MB"

start
wait_until_healthy
say health "$(cat "$work/health")"

[ "$(inside id -u)" != 0 ] || fail "it runs as root"
say user "$(inside id -u):$(inside id -g)"
if inside touch /opt/stepwire/written 2>"$work/touch" || inside touch /written 2>"$work/touch"; then
    fail "its root filesystem can be written"
fi
say root "read-only"
if inside python -c 'import torch' 2>"$work/torch"; then
    fail "torch is in the image"
fi
say torch "absent"

STEPWIRE_ADDRESS=$(address_of 8001)
export STEPWIRE_ADDRESS
generate
classify
metrics >"$work/metrics"
grep -q '^stepwire_step_seconds_bucket' "$work/metrics" || fail "no metrics"
say metrics "$(grep -c '^stepwire_' "$work/metrics") series of its own"
drain
check_log
