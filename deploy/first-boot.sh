#!/bin/sh
# Finishes a card that 'make image' made, at its first boot and without a network. Whatever breaks it, a power cut or a
# full card, the next boot goes on: every step may be done twice.
set -eu
umask 022
export LC_ALL=C PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

SETUP=/var/lib/maskgate-setup
RELEASE=$SETUP/release
UNIT=maskgate-first-boot.service
UNITS=/etc/systemd/system
CONFIG=/etc/maskgate/config.toml
REPORT=maskgate-first-boot.txt
APT_ATTEMPTS=10
APT_PAUSE=15

say() {
    printf 'maskgate: %s\n' "$*"
}

die() {
    say "$*" >&2
    exit 1
}

# Told on the card's boot partition, which every computer can read.
leave_word() {
    for folder in /boot/firmware /boot; do
        if mountpoint --quiet "$folder"; then
            { printf '%s\n\n' "$1"; journalctl --quiet --boot --unit="$UNIT" --output=cat; } >"$folder/$REPORT" || :
            sync
            return
        fi
    done
}

on_exit() {
    code=$?
    trap - EXIT
    [ "$code" -ne 0 ] || exit 0
    say "THIS CARD IS NOT FINISHED; the reason stands above. Switching the device off and on tries again."
    say "More: journalctl -u $UNIT, or $REPORT on the card's boot partition."
    leave_word "Not finished."
    exit "$code"
}

# The whole file or none: after a power cut none is half there.
put_file() {
    install -m "$3" -o "$4" -g "$5" -- "$1" "$2.maskgate-new"
    sync "$2.maskgate-new"
    mv -T -- "$2.maskgate-new" "$2"
}

# Making an account changes six files and a home. Cut short, it begins again from the files as they were.
begin_accounts() {
    if [ -d "$SETUP/accounts" ]; then
        for file in "$SETUP"/accounts/*; do
            cp -p -- "$file" "/etc/${file##*/}.maskgate-new"
            mv -T -- "/etc/${file##*/}.maskgate-new" "/etc/${file##*/}"
        done
        rm -f /etc/passwd.lock /etc/shadow.lock /etc/group.lock /etc/gshadow.lock /etc/subuid.lock /etc/subgid.lock
    else
        mkdir -p -- "$SETUP/accounts.new"
        for file in passwd shadow group gshadow subuid subgid; do
            [ ! -e "/etc/$file" ] || cp -p -- "/etc/$file" "$SETUP/accounts.new/$file"
        done
        sync
        mv -T -- "$SETUP/accounts.new" "$SETUP/accounts"
    fi
}

# The account has no password: a key opens it, and sudo asks for none.
make_operator() {
    [ ! -e "$SETUP/operator-made" ] || return 0
    begin_accounts
    # It makes the groups that open camera and pins.
    systemd-sysusers "$RELEASE/systemd/maskgate.sysusers.conf"
    if ! id "$CARD_USER" >/dev/null 2>&1; then
        useradd --no-create-home --shell /bin/bash "$CARD_USER"
        home=$(getent passwd "$CARD_USER" | cut -d : -f 6)
        mkdir -p -- "$home"
        cp -R -- /etc/skel/. "$home/"
        chown -hR "$CARD_USER:" "$home"
        chmod 700 -- "$home"
    fi
    usermod --password '!' "$CARD_USER"
    for group in adm audio gpio video; do
        getent group "$group" >/dev/null || continue
        case " $(id -nG "$CARD_USER") " in
            *" $group "*) ;;
            *) usermod --append --groups "$group" "$CARD_USER" ;;
        esac
    done
    sync
    : >"$SETUP/operator-made"
}

make_host_keys() {
    find /etc/ssh -maxdepth 1 -type f -name 'ssh_host_*_key*.??????????' -delete
    ssh-keygen -A >/dev/null
}

# Where the base starts sshd by itself, it has failed for want of a host key, or fails while this starts it.
start_sshd() {
    for _ in 1 2 3 4 5; do
        systemctl reset-failed ssh.service 2>/dev/null || :
        if systemctl start ssh.service; then return; fi
        sleep 1
    done
    say "SSH does not start now; see 'journalctl -u ssh'. It is started at each boot."
}

let_operator_in() {
    [ -s "$SETUP/authorized_keys" ] || return 0
    make_operator
    home=$(getent passwd "$CARD_USER" | cut -d : -f 6)
    group=$(id -gn "$CARD_USER")
    keys=$home/.ssh/authorized_keys
    install -d -m 700 -o "$CARD_USER" -g "$group" -- "$home/.ssh"
    set -- "$SETUP/authorized_keys"
    [ ! -e "$keys" ] || set -- "$keys" "$@"
    awk '!seen[$0]++' "$@" >"$SETUP/all_keys"
    put_file "$SETUP/all_keys" "$keys" 600 "$CARD_USER" "$group"
    make_host_keys
    systemctl enable --quiet ssh.service
    start_sshd
    say "$CARD_USER can log in with the SSH key; there is no password. This device's host key:"
    say "$(ssh-keygen -l -f /etc/ssh/ssh_host_ed25519_key.pub)"
}

# Raspberry Pi OS keeps the radio off until a country is known.
switch_radio_on() {
    [ "$CARD_WIFI" = yes ] || return 0
    ! command -v rfkill >/dev/null || rfkill unblock wlan || say "The radio could not be unblocked; see 'rfkill list'."
    nmcli radio wifi on || say "NetworkManager does not answer; Wi-Fi comes with the next boot."
}

set_locale() {
    [ -n "$CARD_LOCALE" ] || return 0
    if [ "$CARD_LOCALE" != C.UTF-8 ]; then
        say "Making the locale $CARD_LOCALE ..."
        sed "s/^# *\($CARD_LOCALE\) UTF-8/\1 UTF-8/" /etc/locale.gen >"$SETUP/locale.gen"
        put_file "$SETUP/locale.gen" /etc/locale.gen 644 root root
        locale-gen >/dev/null
    fi
    printf 'LANG=%s\n' "$CARD_LOCALE" >/etc/default/locale
}

place_config() {
    [ -e "$SETUP/config.toml" ] && [ ! -e "$CONFIG" ] || return 0
    systemd-sysusers "$RELEASE/systemd/maskgate.sysusers.conf"
    mkdir -p -- "$(dirname "$CONFIG")"
    put_file "$SETUP/config.toml" "$CONFIG" 640 root maskgate
}

is_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# A board without a clock of its own is years behind until the network tells it the time, and apt trusts no list from
# the future.
fetch_packages() {
    [ -n "$CARD_PACKAGES" ] || return 0
    # A power cut while packages are being installed leaves some half done, and apt refuses all others.
    dpkg --configure -a --force-confold || say "dpkg could not finish what was cut short; its reason stands above."
    missing=
    for package in $CARD_PACKAGES; do
        is_installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    say "Fetching from the network:$missing ..."
    attempt=1
    # shellcheck disable=SC2086 # one word a package
    until apt-get -qq --error-on=any update &&
        DEBIAN_FRONTEND=noninteractive apt-get -qq --yes --no-install-recommends install $missing; do
        [ "$attempt" -lt "$APT_ATTEMPTS" ] ||
            die "The packages could not be fetched:$missing. maskgate runs without them; connect the device to the internet and start it again."
        attempt=$((attempt + 1))
        sleep "$APT_PAUSE"
    done
    ! systemctl --quiet is-active maskgate.service || systemctl restart maskgate.service
}

# The mark comes first: from then on this only cleans up. What would go on with it is removed last, all at once.
forget() {
    if [ ! -e "$SETUP/finished" ]; then
        leave_word "Finished: $(cat "$RELEASE/VERSION")"
        : >"$SETUP/finished"
        sync
    fi
    for entry in "$SETUP"/*; do
        case $entry in
            "$SETUP/finished" | "$SETUP/first-boot.sh") ;;
            *) rm -rf --one-file-system -- "$entry" ;;
        esac
    done
    sync
    rm -rf --one-file-system -- "$UNITS/multi-user.target.wants/${UNIT:?}" "$UNITS/${UNIT:?}" "$SETUP"
    systemctl daemon-reload || say "systemd still knows $UNIT; the next boot forgets it."
}

finish() {
    # shellcheck source=/dev/null
    . "$SETUP/settings"
    say "Finishing this card; it takes a few minutes, and only once. The clock says $(date -u '+%F %R') UTC."
    let_operator_in
    switch_radio_on
    set_locale
    place_config
    sh "$RELEASE/install.sh" install
    fetch_packages
    [ "$CARD_KIOSK" != yes ] || sh "$RELEASE/install.sh" install --kiosk
}

main() {
    [ "$(id -u)" -eq 0 ] || die "This runs at the first boot of a card, as root."
    if [ ! -e "$SETUP/finished" ]; then finish; fi
    forget
    say "This card is finished: maskgate runs."
}

trap on_exit EXIT
main
