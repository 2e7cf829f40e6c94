#!/bin/sh
# Shows maskgate's page full screen: waits until it answers, then becomes the compositor, which ends with its browser.
set -eu

PAGE=${KIOSK_PAGE:-http://127.0.0.1:8080/}
PYTHON=/opt/maskgate/current/venv/bin/python
# On a file system in memory: a profile that outlives a crash would greet with a question.
PROFILE=$RUNTIME_DIRECTORY/profile
CACHE_BYTES=8000000

# Any answer will do: a page that is out of service says so itself.
wait_for_page() {
    "$PYTHON" -I - "${PAGE}health" <<'EOF'
import sys, time, urllib.error, urllib.request

while True:
    try:
        urllib.request.urlopen(sys.argv[1], timeout=5).close()
        break
    except urllib.error.HTTPError:
        break
    except OSError:
        time.sleep(1)
EOF
}

browser=$(command -v chromium || command -v chromium-browser) || {
    echo "There is no Chromium; sudo apt install --no-install-recommends cage seatd chromium." >&2
    exit 1
}
wait_for_page
exec cage -- "$browser" --kiosk --ozone-platform=wayland --user-data-dir="$PROFILE" --disk-cache-size="$CACHE_BYTES" \
    --password-store=basic --no-first-run --noerrdialogs --disable-infobars --hide-crash-restore-bubble \
    --disable-background-networking --disable-component-update --disable-sync --disable-breakpad --no-pings \
    --disable-pinch --overscroll-history-navigation=0 --disable-features=Translate,MediaRouter,OptimizationHints \
    "$PAGE"
