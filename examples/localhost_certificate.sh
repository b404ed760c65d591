# Sourced by examples that speak TLS: makes a certificate for localhost, once, and sets $certificate
# to its folder.
certificate=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../build/examples/localhost
if [ ! -f "$certificate/certificate.pem" ]; then
    made=$(mkdir -p "${certificate%/*}" && mktemp -d "$certificate.XXXXXX") &&
        openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=localhost \
            -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
            -keyout "$made/key.pem" -out "$made/certificate.pem" 2>/dev/null || exit 125
    # Another one may have made it in the meantime.
    mv -T "$made" "$certificate" 2>/dev/null || rm -r "$made"
fi
