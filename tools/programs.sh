#!/usr/bin/env bash
# Terraform and Prometheus must be there for whatever runs the local cloud. Prometheus can be taken
# from Debian's package: unpacked into the folder given, not installed, so that no service starts
# and nothing outside the project changes. Anything else missing ends with what to install.
set -euo pipefail

programs=$1

main() {
    local missing=0
    have terraform || {
        say "terraform is missing. Install Terraform 1.9 or later: https://developer.hashicorp.com/terraform/install"
        missing=1
    }
    have prometheus && have promtool || take_from_debian prometheus promtool || {
        say "prometheus or promtool is missing. Install them ('apt-get install prometheus' on Debian and Ubuntu," \
            "'brew install prometheus' on macOS) or put the binaries on the PATH."
        missing=1
    }
    return "$missing"
}

have() {
    command -v "$1" >/dev/null || [[ -x $programs/$1 ]]
}

# The package and its programs. Works without root where the package lists are there; root may fetch them first.
take_from_debian() {
    local package=$1 work log program
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    mkdir -p "$programs"
    work=$(mktemp -d "$programs/.unpack.XXXXXX")
    log=$programs/$package.log
    say "Fetching $package from Debian's packages ..."
    if ! (cd "$work" && download "$package") >"$log" 2>&1; then
        say "That failed; apt-get's own words are in $log."
        rm -rf "$work"
        return 1
    fi
    dpkg-deb --extract "$work/$package"_*.deb "$work"
    for program in "$@"; do
        "$work/usr/bin/$program" --version >>"$log" 2>&1 || return 1
        mv "$work/usr/bin/$program" "$programs/$program"
    done
    rm -rf "$work"
}

download() {
    apt-get -qq download "$1" || {
        [[ $(id -u) == 0 ]] && apt-get -qq update && apt-get -qq download "$1"
    }
}

say() {
    echo "$*" >&2
}

main
