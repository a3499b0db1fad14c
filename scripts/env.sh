# shellcheck shell=sh
# Sourced by the scripts and by people: lets pkg-config find doorpay's own mbedTLS.
dp_mbedtls="${XDG_CACHE_HOME:-$HOME/.cache}/doorpay/mbedtls/current"
if [ -d "$dp_mbedtls/lib/pkgconfig" ]; then
    case ":${PKG_CONFIG_PATH:-}:" in
    *":$dp_mbedtls/lib/pkgconfig:"*) ;;
    *)
        PKG_CONFIG_PATH="$dp_mbedtls/lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
        export PKG_CONFIG_PATH
        ;;
    esac
fi
unset dp_mbedtls
