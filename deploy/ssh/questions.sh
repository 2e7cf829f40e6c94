#!/bin/sh
# Runs on the device as the user who logs in, and prints one answer a line: what the device is. An answer that cannot be
# given stays empty.
set -eu
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"

sudo_answer() {
    if [ "$(id -u)" = 0 ]; then
        echo root
    elif sudo -n true 2>/dev/null; then
        echo free
    else
        sudo -n true 2>&1 | tail -n 1
    fi
}

# Where releases are sent to: this may be a disk of its own.
place=${HOME:-/}
[ ! -d "$place/.cache" ] || place=$place/.cache

echo "machine=$(uname -m)"
echo "bits=$(getconf LONG_BIT)"
echo "glibc=$(getconf GNU_LIBC_VERSION)"
# shellcheck source=/dev/null
echo "os=$(. /etc/os-release && echo "${PRETTY_NAME-}")"
# shellcheck source=/dev/null
echo "codename=$(. /etc/os-release && echo "${VERSION_CODENAME-}")"
echo "python=$(/usr/bin/python3 -c 'import sys; print(*sys.version_info[:2], sep=".")' 2>/dev/null)"
echo "systemd=$([ -d /run/systemd/system ] && echo yes)"
echo "free_kb=$(df -Pk -- "$place" | awk 'NR == 2 { print $4 }')"
echo "rsync=$(command -v rsync)"
echo "current=$(basename -- "$(readlink /opt/maskgate/current)")"
echo "sudo=$(sudo_answer)"
