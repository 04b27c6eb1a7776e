#!/usr/bin/env bash
# Builds the server's image: deploy/build_image.sh [OPTION OF THE ENGINE'S BUILD ...]
#
#   ENGINE      docker, podman or buildah; the first that is installed
#   BASE_IMAGE  what to build on; python:3.11-slim
#   IMAGE       the tag; stepwire:latest
#
# With an index or a certificate of one's own:
#   deploy/build_image.sh --secret id=pip_conf,src=pip.conf --secret id=ca_bundle,src=ca.pem
set -euo pipefail
cd "$(dirname "$0")/.."

ENGINE=${ENGINE:-$(command -v docker || command -v podman || command -v buildah)}
options=(--file server/Dockerfile --tag "${IMAGE:-stepwire:latest}")
if [ -n "${BASE_IMAGE:-}" ]; then
    options+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
fi
# Podman's and Buildah's own format has no place for a health check.
case "$(basename "$ENGINE")" in
podman | buildah) options+=(--format docker) ;;
esac

"$ENGINE" build "${options[@]}" "$@" .
