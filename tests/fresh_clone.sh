#!/usr/bin/env bash
# Clone this repository, run `make course` there with an empty HOME and no display, and ask JupyterLab for the first notebook.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap '[ -z "${lab:-}" ] || kill -- "-$lab" 2>/dev/null || true; wait || true; rm -rf "$work"' EXIT
git clone --quiet . "$work/course"
mkdir "$work/home"
cd "$work/course"

set -m  # a process group of its own, so that make and JupyterLab end together
env -u DISPLAY -u WAYLAND_DISPLAY -u CI HOME="$work/home" make course >"$work/log" 2>&1 </dev/null &
lab=$!
set +m
for _ in $(seq 1200); do
    url=$(grep -E '^http://localhost:[0-9]+/lab/tree/[^ ]*[?]token=[0-9a-f]+$' "$work/log" || true)
    [ -z "$url" ] || break
    kill -0 "$lab" 2>/dev/null || { cat "$work/log"; echo "make course ended without a URL"; exit 1; }
    sleep 0.5
done
cat "$work/log"
[ -n "$url" ] || { echo "make course printed no address in ten minutes"; exit 1; }

.venv/bin/python - "$url" <<'PY'
import json
import sys
import urllib.request

address, token = sys.argv[1].split("?token=")
base, start = address.split("/lab/tree/")


def get(path: str) -> bytes:
    request = urllib.request.Request(base + path, headers={"Authorization": f"token {token}"})
    return urllib.request.urlopen(request, timeout=30).read()


assert b"jupyter-config-data" in urllib.request.urlopen(sys.argv[1], timeout=30).read()
assert start.endswith("/00-start-here.ipynb"), start
assert json.loads(get(f"/api/contents/{start}"))["content"]["cells"]
print(f"JupyterLab answers with {start}")
PY
[ "$(tail -n 1 "$work/log")" = "$url" ] || { cat "$work/log"; echo "the address is not the last line of make course"; exit 1; }
[ -z "$(git status --porcelain)" ] || { git status --short; echo "make course left files that git sees"; exit 1; }
