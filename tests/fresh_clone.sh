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
for _ in $(seq 240); do
    url=$(grep -oE 'http://(localhost|127\.0\.0\.1):[0-9]+/[^ ]*token=[0-9a-f]+' "$work/log" | head -n 1 || true)
    [ -z "$url" ] || break
    kill -0 "$lab" 2>/dev/null || { cat "$work/log"; echo "make course ended without a URL"; exit 1; }
    sleep 0.5
done
[ -z "$url" ] || [[ $url == */lab/tree/notebooks/00-start-here.ipynb* ]] || { echo "the printed URL is not the start page: $url"; exit 1; }
[ -n "$url" ] || { cat "$work/log"; echo "make course printed no URL in two minutes"; exit 1; }

.venv/bin/python - "$url" <<'PY'
import json
import sys
import urllib.request

base, token = sys.argv[1].split("/lab", 1)[0], sys.argv[1].rsplit("token=", 1)[1]


def get(path: str) -> bytes:
    request = urllib.request.Request(base + path, headers={"Authorization": f"token {token}"})
    return urllib.request.urlopen(request, timeout=30).read()


assert b"jupyter-config-data" in get("/lab/tree/notebooks/00-start-here.ipynb")
assert json.loads(get("/api/contents/notebooks/00-start-here.ipynb"))["content"]["cells"]
print("JupyterLab answers with notebooks/00-start-here.ipynb")
PY
[ -z "$(git status --porcelain)" ] || { git status --short; echo "make course left files that git sees"; exit 1; }
