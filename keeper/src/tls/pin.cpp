#include "tls/pin.hpp"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "pgaf/core/fingerprint.hpp"

namespace pgaf::tls {
namespace {

struct FreeCertificate {
    void operator()(X509 *certificate) const { X509_free(certificate); }
};

std::vector<std::string> Pinned(PGconn *connection) {
    std::vector<std::string> pinned;
    PQconninfoOption *const options = PQconninfo(connection);
    for (PQconninfoOption *option = options; option && option->keyword; ++option) {
        if (option->val && std::string_view(option->keyword) == core::kPinOption)
            pinned = core::PinnedIn(option->val);
    }
    PQconninfoFree(options);
    return pinned;
}

bool IsLocal(PGconn *connection) {
    const char *host = PQhost(connection);
    return host != nullptr && (*host == '/' || *host == '@');
}

SSL *SessionOf(PGconn *connection) {
    return static_cast<SSL *>(PQsslStruct(connection, "OpenSSL"));
}

using Certificate = std::unique_ptr<X509, FreeCertificate>;

std::string FingerprintOf(const Certificate &certificate) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (!certificate || X509_digest(certificate.get(), EVP_sha256(), digest.data(), &size) != 1)
        return {};
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
        text += kHex[digest.at(i) >> 4];
        text += kHex[digest.at(i) & 15];
    }
    return text;
}

}  // namespace

std::string PeerFingerprint(PGconn *connection) {
    SSL *const session = PQsslInUse(connection) != 0 ? SessionOf(connection) : nullptr;
    if (session == nullptr) return {};
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
    return FingerprintOf(Certificate(SSL_get1_peer_certificate(session)));
#else
    return FingerprintOf(Certificate(SSL_get_peer_certificate(session)));
#endif
}

std::string FingerprintOfFile(const std::string &path) {
    BIO *const file = BIO_new_file(path.c_str(), "r");
    if (file == nullptr) return {};
    const Certificate certificate(PEM_read_bio_X509(file, nullptr, nullptr, nullptr));
    BIO_free(file);
    return FingerprintOf(certificate);
}

std::optional<core::Problem> CheckPeer(PGconn *connection) {
    if (IsLocal(connection)) return std::nullopt;
    const bool is_encrypted = PQsslInUse(connection) != 0;
    SSL *const session = is_encrypted ? SessionOf(connection) : nullptr;
    // Until the end of the handshake there is nothing to compare, and nothing of ours was sent.
    const bool is_known = is_encrypted ? session == nullptr || SSL_is_init_finished(session) == 1
                                       : PQstatus(connection) == CONNECTION_OK;
    if (!is_known) return std::nullopt;
    const std::vector<std::string> pinned = Pinned(connection);
    if (pinned.empty()) return std::nullopt;
    const std::string shown = PeerFingerprint(connection);
    if (!shown.empty() && std::find(pinned.begin(), pinned.end(), shown) != pinned.end())
        return std::nullopt;
    const std::string said =
        shown.empty() ? "It shows none."
                      : "Its SHA-256 fingerprint is " + shown + ", and " + pinned.front() +
                            (pinned.size() > 1 ? " or another" : "") + " is expected.";
    return core::Problem{
        core::ProblemCode::kMonitor, "the monitor's certificate is not the one that is known",
        said + " Somebody else may be answering in its place; nothing was sent to him.",
        "When the certificate was renewed: compare with what \"openssl x509 -noout -fingerprint "
        "-sha256 -in server.crt\" prints on the monitor, then use \"pg_autoctl config set "
        "monitor.fingerprint FINGERPRINT\"."};
}

}  // namespace pgaf::tls
